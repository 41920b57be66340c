#include "sim/folding.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "sim/simulate.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::folding_test {

using namespace fabricast;

namespace {

bool same(const ir::Trace& a, const ir::Trace& b) {
  for (std::size_t rank = 0; rank < a.ops.size(); ++rank) {
    for (std::size_t op = 0; op < a.ops[rank].size(); ++op) {
      const ir::OpInterval &x = a.ops[rank][op], &y = b.ops[rank][op];
      if (x.issued != y.issued || x.start != y.start || x.end != y.end) return false;
    }
  }
  return a.ops.size() == b.ops.size();
}

bool same(const std::vector<sim::InstanceInterval>& a, const std::vector<sim::InstanceInterval>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].start != b[i].start || a[i].end != b[i].end) return false;
  }
  return a.size() == b.size();
}

/// Simulates folded and unfolded, requires that they agree on everything, and returns the number of classes (0: not folded).
std::size_t classes_where_equal(const hw::ClusterSpec& cluster, const ir::Schedule& schedule) {
  std::size_t classes = 0;
  for (const sim::Fidelity fidelity : {sim::Fidelity::bound, sim::Fidelity::flow, sim::Fidelity::flow_exact}) {
    const auto folded = tests::replay(cluster, schedule, {.fidelity = fidelity});
    const auto unfolded = tests::replay(cluster, schedule, {.fidelity = fidelity, .fold = false});
    REQUIRE(unfolded.classes == 0);
    REQUIRE(same(folded.trace, unfolded.trace));
    REQUIRE(same(folded.instances, unfolded.instances));
    REQUIRE(folded.link_bytes == unfolded.link_bytes);
    classes = folded.classes;
  }
  return classes;
}

/// Uniform routing of `tokens` per source among groups of `positions` ranks, one dispatch and one combine around a computation of the
/// rows that arrive.
ir::Schedule dispatches(std::int32_t positions, std::int32_t expert_tensor, std::int32_t replicas, std::int64_t tokens) {
  const ir::ExpertGrid grid{.positions = positions, .expert_tensor = expert_tensor, .replicas = replicas};
  ir::HandMade made = grid.make(ir::block_plan(
      {.layers = 2, .sources = grid.ranks(), .experts = positions, .top_k = 2, .expert_positions = positions, .tokens = tokens}));
  for (std::int32_t layer = 0; layer < 2; ++layer) {
    const ir::RoutingStep step{layer, 0, 0};
    made.op(0, ir::compute(1000));
    made.op(0, ir::AllToAll{ir::AllToAll::Direction::dispatch, step, 512});
    made.op(0, hw::GroupedGemm<ir::ExpertRows>{{step}, 64, 64, hw::Precision::bf16});
    made.op(0, ir::AllToAll{ir::AllToAll::Direction::combine, step, 512});
  }
  return made.schedule();
}

hw::ClusterSpec cluster_of(std::int64_t gpus, std::int64_t spines = 1) {
  hw::ClusterSpec cluster = tests::ideal_cluster(gpus / 4, 4);
  cluster.fabric.nic_latency = Seconds(1e-6);
  cluster.node.nvlink_latency = Seconds(2e-7);
  cluster.fabric.spines = spines;
  return cluster;
}

}  // namespace

// 64 tokens · top-2 over 8 experts: 16 rows for each, whoever sends.
TEST_CASE("in an all-to-all of equal sizes all ranks of a group are alike, and all groups") {
  CHECK(classes_where_equal(cluster_of(8), dispatches(8, 1, 1, 64)) == 1);
  CHECK(classes_where_equal(cluster_of(64), dispatches(8, 1, 8, 64)) == 1);
}

TEST_CASE("sizes that differ by a row leave classes, and folded and unfolded agree to the picosecond") {
  for (const std::int64_t tokens : {61, 62, 66}) {
    const std::size_t classes = classes_where_equal(cluster_of(32), dispatches(8, 2, 2, tokens));
    CHECK(classes < 32);
  }
}

TEST_CASE("spines told apart by the routes through them do not break the agreement") {
  for (const std::int64_t spines : {2, 3, 4}) {
    for (const double oversubscription : {1.0, 2.0}) {
      hw::ClusterSpec cluster = cluster_of(32, spines);
      cluster.fabric.oversubscription = oversubscription;
      cluster.fabric.nodes_per_leaf = 4;
      classes_where_equal(cluster, dispatches(16, 2, 1, 64));
      classes_where_equal(cluster, dispatches(4, 2, 4, 63));
    }
  }
}

// Pipelines of two stages: ranks of a stage are alike, stages are not.
TEST_CASE("pipelines that do the same are alike stage by stage") {
  ir::HandMade made(16);
  std::vector<std::int32_t> second_stage;
  made.own_program(8);
  for (std::int32_t r = 9; r < 16; ++r) made.schedule().ranks[static_cast<std::size_t>(r)].program = ir::ProgramId{1};
  for (std::int32_t r = 0; r < 8; ++r) made.group(ir::Axis::pipeline, {r, r + 8});
  for (std::int32_t i = 0; i < 3; ++i) {
    made.op_of(0, 0, ir::compute(1000 + i));
    made.op_of(0, 1, ir::Send{ir::Axis::pipeline, 1, 0, ir::rows(5000), 7});
    made.op_of(1, 1, ir::Recv{ir::Axis::pipeline, 0, 0, ir::rows(5000), 7});
    made.op_of(1, 0, ir::compute(1500));
  }
  CHECK(classes_where_equal(cluster_of(16), made.schedule()) == 2);
}

TEST_CASE("one rank that computes longer is told apart, and so are those that it makes wait") {
  const auto data_parallel = [] {
    ir::HandMade made(8);
    made.own_program(7);
    for (const std::vector<std::int32_t>& members : {std::vector<std::int32_t>{0, 1, 2, 3}, {4, 5, 6, 7}}) made.group(ir::Axis::data, members);
    for (const std::size_t program : {std::size_t{0}, std::size_t{1}}) {
      made.op_of(program, 0, ir::compute(program == 0 ? 1000 : 9000));
      made.op_of(program, 1, ir::collective(hw::CollectiveKind::all_reduce, ir::Axis::data, 1 << 20));
    }
    return made.schedule();
  }();
  const std::size_t classes = classes_where_equal(cluster_of(8), data_parallel);
  CHECK(classes >= 3);
  CHECK(classes < 8);
}

TEST_CASE("drawn routing counts are not folded") {
  ir::RoutingShape shape{.layers = 1, .sources = 4, .experts = 4, .top_k = 1, .expert_positions = 4, .tokens = 4};
  ir::RoutingPlan plan = ir::RoutingPlan::from_counts(shape, 1, std::vector<std::uint32_t>(16, 1));
  std::vector<ir::Replicas> hosts{{{0}}, {{1}}, {{2}}, {{3}}};
  plan.place_experts({hosts}, {});
  ir::HandMade made = ir::ExpertGrid{.positions = 4}.make(std::move(plan));
  made.op(1, ir::AllToAll{ir::AllToAll::Direction::dispatch, {}, 512});
  CHECK(classes_where_equal(cluster_of(4), made.schedule()) == 0);
}

// Random schedules have a program per rank, so hardly anything folds there; grids of alike ranks on random fabrics do.
TEST_CASE("on random fabrics, degrees and token counts folded and unfolded agree, and most are folded") {
  int folded = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    const auto degree = [&](std::int64_t most) { return static_cast<std::int32_t>(1 << random.between(0, most)); };
    const std::int32_t positions = 2 * degree(3), expert_tensor = degree(1), replicas = degree(1);
    hw::ClusterSpec cluster = cluster_of(std::max(8, positions * expert_tensor * replicas), random.between(1, 4));
    cluster.fabric.kind = random.chance(50) ? hw::FabricKind::fat_tree : hw::FabricKind::rail_optimized;
    cluster.fabric.nodes_per_leaf = random.between(1, 4);
    cluster.fabric.oversubscription = static_cast<double>(random.between(1, 3));
    const std::size_t classes = classes_where_equal(cluster, dispatches(positions, expert_tensor, replicas, random.between(1, 99)));
    if (classes > 0) ++folded;
  }
  CHECK(folded > 30);
}

TEST_CASE("random schedules come out the same whether folding is tried or not") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    const hw::ClusterSpec cluster = tests::random_cluster(random);
    tests::RandomSchedule made(random, cluster.gpus());
    classes_where_equal(cluster, made.schedule());
  }
}

}  // namespace fabricast::folding_test
