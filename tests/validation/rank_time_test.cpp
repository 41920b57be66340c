#include "validation/rank_time.hpp"

#include <doctest/doctest.h>

#include <array>

#include "strategies/ir/split_mix.hpp"
#include "tests/validation/observed_step.hpp"

namespace fabricast::rank_time_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

constexpr std::size_t classes = 3;

/// The obvious twin: asks of every picosecond what was going on.
RankTime tick_by_tick(const std::vector<Activity>& activities, TimeSpan span) {
  RankTime result;
  result.class_busy.resize(classes);
  result.class_exposed.resize(classes);
  for (SimTime t = span.start; t < span.end; t += SimTime(1)) {
    bool computing = false, waiting = false;
    std::array<bool, classes> running{};
    for (const Activity& a : activities) {
      if (t < a.start || t >= a.end) continue;
      if (a.kind == Activity::Kind::computation) computing = true;
      if (a.kind == Activity::Kind::waiting) waiting = true;
      if (a.kind == Activity::Kind::communication) running[a.communication_class] = true;
    }
    int active = 0;
    for (const bool r : running) active += r ? 1 : 0;
    const SimTime tick(1);
    if (computing) result.computation += tick;
    if (active > 0) result.communication += tick;
    if (active > 0 && !computing) result.exposed += tick;
    if (active == 0 && !computing) result.idle += tick;
    if (active == 0 && !computing && waiting) result.waiting += tick;
    for (std::size_t c = 0; c < classes; ++c) {
      if (!running[c]) continue;
      result.class_busy[c] += tick;
      if (!computing) result.class_exposed[c] += to_seconds(tick) / active;
    }
  }
  return result;
}

std::vector<Activity> random_activities(ir::SplitMix64& random, std::uint32_t length) {
  std::vector<Activity> activities;
  const std::uint32_t count = random.below(12);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto kind = static_cast<Activity::Kind>(random.below(3));
    const std::uint32_t start = random.below(length), end = start + random.below(length - start);
    activities.push_back({kind, SimTime(start), SimTime(end), random.below(classes)});
  }
  return activities;
}

}  // namespace

// Every picosecond of the step is computation, exposed communication or idleness, and what the sweep says is what a count of ticks says.
TEST_CASE("a rank's time is divided as a count of single ticks divides it") {
  ir::SplitMix64 random(7);
  const TimeSpan span{SimTime(0), SimTime(100)};
  for (int i = 0; i < 500; ++i) {
    const auto activities = random_activities(random, 100);
    const RankTime fast = account(activities, span, classes), slow = tick_by_tick(activities, span);
    CHECK(fast.computation == slow.computation);
    CHECK(fast.communication == slow.communication);
    CHECK(fast.exposed == slow.exposed);
    CHECK(fast.idle == slow.idle);
    CHECK(fast.waiting == slow.waiting);
    CHECK(fast.class_busy == slow.class_busy);
    CHECK((fast.computation + fast.exposed + fast.idle) == (span.end - span.start));
    Seconds shares;
    for (std::size_t c = 0; c < classes; ++c) {
      CHECK(tests::picoseconds(fast.class_exposed[c]) == doctest::Approx(tests::picoseconds(slow.class_exposed[c])));
      shares += fast.class_exposed[c];
    }
    CHECK(tests::picoseconds(shares) == doctest::Approx(static_cast<double>(fast.exposed.value())));
  }
}

// compute [0,10), communication [6,16): 4 hidden, 6 exposed; waiting [2,6) and [16,20): only the latter is idle.
TEST_CASE("communication under computation is hidden, and waiting counts where nothing else happens") {
  using Kind = Activity::Kind;
  const std::vector<Activity> activities{{Kind::computation, SimTime(0), SimTime(10)},
                                         {Kind::waiting, SimTime(2), SimTime(6)},
                                         {Kind::communication, SimTime(6), SimTime(16), 1},
                                         {Kind::waiting, SimTime(16), SimTime(20)}};
  const RankTime time = account(activities, {SimTime(0), SimTime(25)}, 2);
  CHECK(time.computation == SimTime(10));
  CHECK(time.communication == SimTime(10));
  CHECK(time.exposed == SimTime(6));
  CHECK(time.idle == SimTime(9));
  CHECK(time.waiting == SimTime(4));
  CHECK(time.class_busy == std::vector<SimTime>{SimTime(0), SimTime(10)});
}

}  // namespace fabricast::rank_time_test
