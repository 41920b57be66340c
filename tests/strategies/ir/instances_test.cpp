#include "strategies/ir/instances.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "strategies/ir/validate.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::ir::instances_test {

namespace {

constexpr auto gather = hw::CollectiveKind::all_gather;
constexpr auto scatter = hw::CollectiveKind::reduce_scatter;

Rank rank(std::int32_t value) { return Rank{value}; }
OpIndex op(std::int32_t value) { return OpIndex{value}; }

bool equal(const std::vector<InstanceMember>& a, const std::vector<InstanceMember>& b) {
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
