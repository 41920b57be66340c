#include "strategies/ir/instances.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "strategies/ir/split_mix.hpp"
#include "strategies/ir/validate.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::ir::instances_test {

namespace {

constexpr auto gather = hw::CollectiveKind::all_gather;
constexpr auto scatter = hw::CollectiveKind::reduce_scatter;

Rank rank(std::int32_t value) { return Rank{value}; }
OpIndex op(std::int32_t value) { return OpIndex{value}; }

bool equal(const InstanceMembers& a, const std::vector<InstanceMember>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](InstanceMember x, InstanceMember y) { return x.rank == y.rank && x.op == y.op; });
}

}  // namespace

TEST_CASE("the k-th collective on a group in every member's program is one instance, members in group order") {
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::tensor, {1, 0});
  made.op(0, compute());
  made.op(1, collective(gather, Axis::tensor, 1));
  made.op(1, collective(scatter, Axis::tensor, 1));
  made.op_of(1, 1, collective(gather, Axis::tensor, 1));
  made.op_of(1, 0, compute());
  made.op_of(1, 2, collective(scatter, Axis::tensor, 1));
  const Instances instances = match_instances(made.schedule());
  REQUIRE(instances.all.size() == 2);
  CHECK(equal(instances.all[0].members, {{rank(1), op(0)}, {rank(0), op(1)}}));
  CHECK(equal(instances.all[1].members, {{rank(1), op(2)}, {rank(0), op(2)}}));
  CHECK(instances.at(rank(0), op(0)).value == -1);
  CHECK(instances.at(rank(0), op(2)) == instances.at(rank(1), op(2)));
  CHECK(instances.at(rank(1), op(0)).value == 0);
}

TEST_CASE("collectives on different axes and groups are counted apart") {
  HandMade made(4);
  made.group(Axis::tensor, {0, 1});
  made.group(Axis::tensor, {2, 3});
  made.group(Axis::data, {0, 2});
  made.group(Axis::data, {1, 3});
  made.op(1, collective(gather, Axis::data, 1));
  made.op(1, collective(gather, Axis::tensor, 1));
  const Instances instances = match_instances(made.schedule());
  REQUIRE(instances.all.size() == 4);
  CHECK(instances.at(rank(0), op(0)) == instances.at(rank(2), op(0)));
  CHECK(instances.at(rank(0), op(0)) != instances.at(rank(1), op(0)));
  CHECK(instances.at(rank(2), op(1)) == instances.at(rank(3), op(1)));
  CHECK(instances.at(rank(0), op(1)) != instances.at(rank(2), op(1)));
}

TEST_CASE("sends and receives match first-in first-out by source, destination and tag") {
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::pipeline, {0, 1});
  for (const std::int32_t tag : {5, 3, 5}) made.op(1, Send{Axis::pipeline, 1, tag, rows(1), 2});
  made.op(2, Recv{Axis::pipeline, 1, 3, rows(1), 2});
  for (const std::int32_t tag : {5, 5, 3}) made.op_of(1, 1, Recv{Axis::pipeline, 0, tag, rows(1), 2});
  made.op_of(1, 2, Send{Axis::pipeline, 0, 3, rows(1), 2});
  const Instances instances = match_instances(made.schedule());
  REQUIRE(instances.all.size() == 4);
  CHECK(instances.at(rank(0), op(0)) == instances.at(rank(1), op(0)));  // tag 5, first
  CHECK(instances.at(rank(0), op(2)) == instances.at(rank(1), op(1)));  // tag 5, second
  CHECK(instances.at(rank(0), op(1)) == instances.at(rank(1), op(2)));  // tag 3
  const auto back = instances.at(rank(0), op(3));                       // tag 3, the other way
  CHECK(back == instances.at(rank(1), op(3)));
  CHECK(equal(instances.all[back.index()].members, {{rank(1), op(3)}, {rank(0), op(3)}}));
}

/// Walks over all ranks and ops, and joins each collective to its group's list, each message to its peer's.
std::vector<std::vector<InstanceMember>> listed(const Schedule& schedule) {
  std::vector<std::vector<InstanceMember>> all;
  std::map<std::pair<std::int32_t, std::size_t>, std::size_t> collectives;                      // by group and ordinal
  std::map<std::tuple<std::int32_t, std::int32_t, std::int32_t>, std::array<std::vector<InstanceMember>, 2>> messages;
  for (std::int32_t r = 0; r < static_cast<std::int32_t>(schedule.ranks.size()); ++r) {
    std::map<std::int32_t, std::size_t> met;
    const auto& ops = schedule.program_of(rank(r)).ops;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const InstanceMember self{rank(r), op(static_cast<std::int32_t>(i))};
      if (const auto axis = collective_axis(ops[i].work)) {
        const std::int32_t group = schedule.ranks[self.rank.index()].groups[static_cast<std::size_t>(*axis)].value;
        const auto [place, is_new] = collectives.try_emplace({group, met[group]++}, all.size());
        if (is_new) all.emplace_back(schedule.group_of(rank(r), *axis).members.size());
        all[place->second][static_cast<std::size_t>(schedule.member_of(rank(r), *axis))] = self;
      } else if (const auto* send = std::get_if<Send>(&ops[i].work)) {
        messages[{r, schedule.group_of(rank(r), send->axis).members[static_cast<std::size_t>(send->peer)].value, send->tag}][0].push_back(self);
      } else if (const auto* recv = std::get_if<Recv>(&ops[i].work)) {
        messages[{schedule.group_of(rank(r), recv->axis).members[static_cast<std::size_t>(recv->peer)].value, r, recv->tag}][1].push_back(self);
      }
    }
  }
  for (const auto& [key, ends] : messages) {
    for (std::size_t i = 0; i < ends[0].size(); ++i) all.push_back({ends[0][i], ends[1][i]});
  }
  return all;
}

/// Two stages of four ranks: tensor pairs (the second one counts backwards), data groups across them, pipeline pairs. Both stages' ops come
/// in random order, but those of an axis and direction.
Schedule two_stages(SplitMix64& random) {
  HandMade made(8);
  made.own_program(4);
  for (const std::int32_t r : {5, 6, 7}) made.schedule().ranks[static_cast<std::size_t>(r)].program = ProgramId{1};
  for (const std::int32_t r : {0, 4}) {
    made.group(Axis::tensor, {r, r + 1});
    made.group(Axis::tensor, {r + 3, r + 2});
  }
  made.group(Axis::data, {6, 2, 0, 4});
  made.group(Axis::data, {1, 3, 5, 7});
  for (const std::int32_t r : {0, 1, 2, 3}) made.group(Axis::pipeline, {r, r + 4});
  const std::array<std::uint32_t, 2> gathers{random.below(5), random.below(5)};
  const std::uint32_t reductions = random.below(5), messages = random.below(5);
  for (const std::size_t stage : {0u, 1u}) {
    std::array<std::uint32_t, 4> left{gathers[stage], reductions, messages, random.below(5)};
    while (left[0] + left[1] + left[2] + left[3] > 0) {
      const std::size_t kind = random.below(4);
      if (left[kind] == 0) continue;
      const auto tag = static_cast<std::int32_t>(--left[kind] % 2);
      if (kind == 0) made.op_of(stage, 1, collective(gather, Axis::tensor, 1));
      if (kind == 1) made.op_of(stage, 2, collective(scatter, Axis::data, 1));
      if (kind == 2 && stage == 0) made.op_of(stage, 1, Send{Axis::pipeline, 1, tag, rows(1), 2});
      if (kind == 2 && stage == 1) made.op_of(stage, 1, Recv{Axis::pipeline, 0, tag, rows(1), 2});
      if (kind == 3) made.op_of(stage, 0, compute());
    }
  }
  return made.schedule();
}

TEST_CASE("instances are those that a walk over all ranks and ops lists, in the same order") {
  SplitMix64 random(3);
  for (int i = 0; i < 200; ++i) {
    CAPTURE(i);
    const Schedule schedule = two_stages(random);
    const auto expected = listed(schedule);
    const Instances instances = match_instances(schedule);
    REQUIRE(instances.all.size() == expected.size());
    std::size_t members = 0, ops = 0;
    for (std::size_t id = 0; id < expected.size(); ++id) {
      REQUIRE(equal(instances.all[id].members, expected[id]));
      for (const InstanceMember member : expected[id]) CHECK(instances.at(member.rank, member.op).index() == id);
      members += expected[id].size();
    }
    for (std::int32_t r = 0; r < 8; ++r) {
      for (std::int32_t o = 0; o < static_cast<std::int32_t>(schedule.program_of(rank(r)).ops.size()); ++o) {
        if (instances.at(rank(r), op(o)).value >= 0) ++ops;
      }
    }
    CHECK(ops == members);
  }
}

TEST_CASE("members that disagree are named with their ops") {
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::tensor, {0, 1});
  made.op(1, collective(gather, Axis::tensor, 1));
  made.op_of(1, 0, compute());
  const OpIndex other = made.op_of(1, 1, collective(scatter, Axis::tensor, 1));
  CHECK_THROWS_WITH_AS(
      (void)match_instances(made.schedule()),
      "rank 1, op 1 (scope / op): collective 0 of its tensor group: reduce_scatter meets all_gather of rank 0, op 0 (scope / op); "
      "members must issue the same collectives in the same order",
      ScheduleError);
  Work& work = made.schedule().programs[1].ops[other.index()].work;
  work = Collective{gather, Axis::tensor, rows(1), 4};
  CHECK_THROWS_AS((void)match_instances(made.schedule()), ScheduleError);  // row bytes
  work = Collective{gather, Axis::tensor, rows(1), 2, hw::CollectiveAlgorithm::ring};
  CHECK_THROWS_AS((void)match_instances(made.schedule()), ScheduleError);  // algorithm
  work = Collective{gather, Axis::tensor, rows(1), 2};
  CHECK_NOTHROW((void)match_instances(made.schedule()));
}

TEST_CASE("all-to-alls of another direction or chunk do not meet") {
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::expert, {0, 1});
  made.op(1, AllToAll{AllToAll::Direction::dispatch, {0, 0, 1}, 2});
  const OpIndex other = made.op_of(1, 1, AllToAll{AllToAll::Direction::combine, {0, 0, 1}, 2});
  Work& work = made.schedule().programs[1].ops[other.index()].work;
  CHECK_THROWS_AS((void)match_instances(made.schedule()), ScheduleError);
  work = AllToAll{AllToAll::Direction::dispatch, {0, 0, 0}, 2};
  CHECK_THROWS_AS((void)match_instances(made.schedule()), ScheduleError);
  work = AllToAll{AllToAll::Direction::dispatch, {0, 0, 1}, 2};
  CHECK_NOTHROW((void)match_instances(made.schedule()));
}

TEST_CASE("a collective that one member lacks names an op that waits for it and the rank that lacks it") {
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::tensor, {0, 1});
  made.op(1, collective(gather, Axis::tensor, 1));
  made.op(1, collective(gather, Axis::tensor, 1));
  made.op_of(1, 1, collective(gather, Axis::tensor, 1));
  CHECK_THROWS_WITH_AS(
      (void)match_instances(made.schedule()),
      "rank 0, op 1 (scope / op): collective 1 of its tensor group, but rank 1 of the group issues only 1; every member must issue it",
      ScheduleError);
}

TEST_CASE("a send without receive and a receive without send are named") {
  for (const bool sends : {true, false}) {
    HandMade made(2);
    made.own_program(1);
    made.group(Axis::pipeline, {0, 1});
    made.op(0, compute());
    if (sends) made.op(1, Send{Axis::pipeline, 1, 4, rows(1), 2});
    if (!sends) made.op(1, Recv{Axis::pipeline, 1, 4, rows(1), 2});
    CHECK_THROWS_WITH_AS(
        (void)match_instances(made.schedule()),
        (sends ? "rank 0, op 1 (scope / op): send to rank 1 with tag 4 has no matching recv; the other rank must issue one for each"
               : "rank 0, op 1 (scope / op): recv from rank 1 with tag 4 has no matching send; the other rank must issue one for each"),
        ScheduleError);
  }
}

}  // namespace fabricast::ir::instances_test
