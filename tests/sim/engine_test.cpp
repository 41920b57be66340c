#include "sim/engine.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "tests/sim/random.hpp"

namespace fabricast::engine_test {

using namespace fabricast;
using sim::Engine;
using sim::Event;

namespace {

struct Seen {
  std::int64_t time;
  std::uint32_t subject;
  friend bool operator==(const Seen&, const Seen&) = default;
};

/// A process that schedules a pseudo-random number of successors of itself; every event is written down.
class Cascade {
 public:
  explicit Cascade(std::uint64_t seed) : random_(seed) {
    for (std::uint32_t i = 0; i < 4; ++i) engine_.schedule(SimTime(random_.between(0, 10)), {0, i, 0});
  }
  bool step() {
    return engine_.step([this](const Event& event) {
      seen.push_back({engine_.now().value(), event.subject});
      const std::int64_t successors = seen.size() < 500 ? random_.between(0, 2) : 0;
      for (std::int64_t i = 0; i < successors; ++i) engine_.schedule(engine_.now() + SimTime(random_.between(0, 5)), event);
    });
  }
  std::vector<Seen> seen;

 private:
  Engine engine_;
  tests::Random random_;
};

}  // namespace

TEST_CASE("events run in time order, equal times in the order of scheduling") {
  tests::Random random(1);
  Engine engine;
  std::vector<Seen> expected;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const std::int64_t time = random.between(0, 50);
    expected.push_back({time, i});
    engine.schedule(SimTime(time), {0, i, 0});
  }
  std::stable_sort(expected.begin(), expected.end(), [](const Seen& a, const Seen& b) { return a.time < b.time; });
  std::vector<Seen> seen;
  engine.run([&](const Event& event) { seen.push_back({engine.now().value(), event.subject}); });
  CHECK(seen == expected);
  CHECK(engine.events_run() == 1000);
}

TEST_CASE("an event scheduled for now runs now, after those already waiting for now") {
  Engine engine;
  std::vector<std::uint32_t> order;
  engine.schedule(SimTime(7), {0, 1, 0});
  engine.schedule(SimTime(7), {0, 2, 0});
  engine.run([&](const Event& event) {
    order.push_back(event.subject);
    CHECK(engine.now() == SimTime(7));
    if (event.subject == 1) engine.schedule(engine.now(), {0, 3, 0});
  });
  CHECK(order == std::vector<std::uint32_t>{1, 2, 3});
}

TEST_CASE("an event carries what it was scheduled with") {
  Engine engine;
  engine.schedule(SimTime(1), {3, 4, 5});
  engine.run([](const Event& event) {
    CHECK(event.kind == 3);
    CHECK(event.subject == 4);
    CHECK(event.detail == 5);
  });
}

// 2^62 ps are 53 days; two such spans still fit into 63 bits.
TEST_CASE("a time that is too late to count from is refused") {
  Engine engine;
  constexpr std::int64_t end = std::int64_t{1} << 62;
  CHECK_THROWS_AS(engine.schedule(SimTime(end), {}), std::overflow_error);
  engine.schedule(SimTime(end - 1), {});
  engine.run([](const Event&) {});
  CHECK(engine.now() == SimTime(end - 1));
  CHECK_THROWS_AS((void)sim::countable_time(Seconds(1e300)), std::overflow_error);
  CHECK(sim::countable_time(Seconds(1)) == to_sim_time(Seconds(1)));
}

TEST_CASE("an engine without events does nothing and stays where it is") {
  Engine engine;
  engine.schedule(SimTime(5), {});
  engine.run([](const Event&) {});
  CHECK_FALSE(engine.step([](const Event&) { FAIL("no event was left"); }));
  CHECK(engine.idle());
  CHECK(engine.now() == SimTime(5));
}

TEST_CASE("two engines interleaved in one process do what each does alone") {
  Cascade alone_a(10), alone_b(20), a(10), b(20);
  while (alone_a.step()) {
  }
  while (alone_b.step()) {
  }
  for (bool more = true; more;) {
    const bool a_ran = a.step();
    const bool b_ran = b.step();
    more = a_ran || b_ran;
  }
  CHECK(a.seen == alone_a.seen);
  CHECK(b.seen == alone_b.seen);
  CHECK(a.seen != b.seen);
}

}  // namespace fabricast::engine_test
