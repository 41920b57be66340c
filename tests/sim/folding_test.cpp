#include "sim/folding.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "sim/compute_times.hpp"
#include "sim/simulate.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"
#include "tests/sim/worn_cluster.hpp"
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
    REQUIRE(folded.slowed_by == unfolded.slowed_by);
    classes = folded.classes;
  }
  return classes;
}

/// Uniform routing of `tokens` per source among groups of `positions` ranks, one dispatch and one combine around a computation of the
/// rows that arrive; on a stream of their own, they run beside it.
ir::Schedule dispatches(std::int32_t positions, std::int32_t expert_tensor, std::int32_t replicas, std::int64_t tokens,
                        std::int32_t stream = 0, std::int64_t row_bytes = 512,
                        hw::CollectiveAlgorithm algorithm = hw::CollectiveAlgorithm::automatic) {
  const ir::ExpertGrid grid{.positions = positions, .expert_tensor = expert_tensor, .replicas = replicas};
  ir::HandMade made = grid.make(ir::block_plan(
      {.layers = 2, .sources = grid.ranks(), .experts = positions, .top_k = 2, .expert_positions = positions, .tokens = tokens}));
  for (std::int32_t layer = 0; layer < 2; ++layer) {
    const ir::RoutingStep step{layer, 0, 0};
    made.op(0, ir::compute(stream == 0 ? 1000 : 1'000'000));
    made.op(stream, ir::AllToAll{ir::AllToAll::Direction::dispatch, step, row_bytes, algorithm});
    made.op(0, hw::GroupedGemm<ir::ExpertRows>{{step}, 64, 64, hw::Precision::bf16});
    made.op(stream, ir::AllToAll{ir::AllToAll::Direction::combine, step, row_bytes, algorithm});
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

// Eight nodes of four below leaves of five nodes: a rank below the first leaf has 4·4 partners there and 3·4 below the other, a rank below
// the second 2·4 and 5·4. The leaves' uplinks carry as much as each other.
TEST_CASE("how many of its partners are near tells a rank apart, where all else is alike") {
  hw::ClusterSpec cluster = cluster_of(40);
  cluster.fabric.kind = hw::FabricKind::fat_tree;
  cluster.fabric.nodes_per_leaf = 5;
  CHECK(classes_where_equal(cluster, dispatches(32, 1, 1, 64)) == 2);
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

TEST_CASE("what switches add, trees and rings per rail fold too, phases side by side or one after the other") {
  using A = hw::CollectiveAlgorithm;
  for (const std::int64_t chunk : {0, 1 << 18}) {
    hw::ClusterSpec cluster = cluster_of(32, 2);
    cluster.node.in_switch_reduction = cluster.collectives.in_switch_reduction = true;
    cluster.fabric.in_network_reduction = cluster.collectives.in_network_reduction = true;
    cluster.collectives.pipeline_chunk = Bytes(chunk);
    for (const A algorithm : {A::nvls, A::nvls_tree, A::sharp, A::rail_ring, A::tree, A::two_level}) {
      CAPTURE(hw::name_of(algorithm));
      ir::HandMade made(32);
      const std::int32_t members = algorithm == A::nvls ? 4 : 16;
      for (std::int32_t first = 0; first < 32; first += members) {
        std::vector<std::int32_t> group;
        for (std::int32_t r = first; r < first + members; ++r) group.push_back(r);
        made.group(ir::Axis::data, group);
      }
      made.op(0, ir::compute(1000));
      made.op(1, ir::Collective{hw::CollectiveKind::all_reduce, ir::Axis::data, ir::rows(1 << 20), 1, algorithm});
      const std::size_t classes = classes_where_equal(cluster, made.schedule());
      CHECK(classes > 0);
      CHECK(classes < 32);
    }
  }
}

TEST_CASE("dispatches that send equal tokens once fold like others, and the two are told apart") {
  CHECK(classes_where_equal(cluster_of(32), dispatches(16, 1, 2, 64, 0, 512, hw::CollectiveAlgorithm::deduplicated)) == 1);
  CHECK(classes_where_equal(cluster_of(32), dispatches(16, 1, 2, 63, 0, 512, hw::CollectiveAlgorithm::deduplicated)) < 32);
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

/// Groups of `positions` ranks that gather in chunks while they compute.
ir::Schedule gathers_beside_computation(std::int32_t positions, std::int32_t replicas) {
  ir::HandMade made(positions * replicas);
  for (std::int32_t replica = 0; replica < replicas; ++replica) {
    std::vector<std::int32_t> members;
    for (std::int32_t p = 0; p < positions; ++p) members.push_back(replica * positions + p);
    made.group(ir::Axis::data, members);
  }
  for (std::int32_t chunk = 0; chunk < 5; ++chunk) {
    made.op(0, hw::Gemm<ir::Extent>{ir::rows(4096 + 128 * chunk), 2048, 1024, hw::Precision::bf16});
    made.op(0, ir::compute(1'000'000));
    made.op(1, ir::collective(hw::CollectiveKind::all_gather, ir::Axis::data, 1'000'000 + chunk));
  }
  return made.schedule();
}

hw::ClusterSpec with_sms(hw::ClusterSpec cluster) {
  cluster.gpu.streaming_multiprocessors = 100;
  return cluster;
}

TEST_CASE("computation beside communication is slowed alike on alike ranks") {
  const ir::Schedule schedule = gathers_beside_computation(8, 4);
  CHECK(classes_where_equal(with_sms(cluster_of(32)), schedule) < 8);
  const auto slowed = tests::replay(with_sms(cluster_of(32)), schedule).slowed_by;
  CHECK(*std::min_element(slowed.begin(), slowed.end()) > SimTime(0));
}

// 61 tokens · 2 over 8 experts: 15 or 16 rows for each, so that members of one collective draw different shares of memory bandwidth.
TEST_CASE("computation beside transfers of nearly equal sizes is slowed on each rank by its own") {
  for (const std::int64_t tokens : {61, 62, 66}) {
    const ir::Schedule schedule = dispatches(8, 2, 2, tokens, 1, 1'000'000);
    CHECK(classes_where_equal(with_sms(cluster_of(32)), schedule) > 0);
    const auto slowed = tests::replay(with_sms(cluster_of(32)), schedule).slowed_by;
    CHECK(*std::min_element(slowed.begin(), slowed.end()) < *std::max_element(slowed.begin(), slowed.end()));
  }
}

// Rank 1 takes longer alone. A GPU with as high rates and half the SMs takes as long alone, not beside a collective that holds SMs.
TEST_CASE("a straggler and a GPU that differs only under load are told apart from their peers, other groups are not") {
  const ir::Schedule schedule = gathers_beside_computation(8, 4);
  const std::size_t healthy = classes_where_equal(with_sms(cluster_of(32)), schedule);
  hw::ClusterSpec cluster = with_sms(cluster_of(32));
  cluster.faults.slow_gpus = {{0, 1, 1.5}};
  const std::size_t with_straggler = classes_where_equal(cluster, schedule);
  CHECK(with_straggler > healthy);
  CHECK(with_straggler < 16);
  cluster = with_sms(cluster_of(32));
  cluster.other_nodes.resize(1);
  cluster.other_nodes[0].first = cluster.other_nodes[0].last = 7;
  cluster.other_nodes[0].gpu = cluster.gpu;
  cluster.other_nodes[0].gpu->streaming_multiprocessors = 50;
  CHECK(classes_where_equal(cluster, schedule) > healthy);
}

TEST_CASE("worn links and NICs, hashed routes and adaptive ones are folded as far as they are alike") {
  const ir::Schedule schedule = dispatches(8, 1, 8, 64);   // each group on two nodes
  const std::size_t healthy = classes_where_equal(cluster_of(64, 2), schedule);
  std::vector<hw::ClusterSpec> clusters(5, cluster_of(64, 2));
  for (hw::ClusterSpec& cluster : clusters) cluster.fabric.nodes_per_leaf = 3;
  clusters[0].faults.nics = {{3, 2, 0.5}, {5, 0, 0.0}};
  clusters[1].faults.nvlinks = {{4, 1, 0.25}};
  clusters[2].faults.uplinks = {{0, 1, 0.0}, {5, 0, 0.5}};
  clusters[3].fabric.spine_choice = hw::SpineChoice::ecmp;
  clusters[4].fabric.spine_choice = hw::SpineChoice::adaptive;
  clusters[4].node.nics = 2;
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    CAPTURE(i);
    const std::size_t classes = classes_where_equal(clusters[i], schedule);
    if (i < 2) CHECK(classes > healthy);
    if (i < 2) CHECK(classes < 40);
  }
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

TEST_CASE("on random clusters with faults, stragglers, differing nodes and shared NICs folded and unfolded agree, and some are folded") {
  int built = 0, folded = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    hw::ClusterSpec cluster = with_sms(cluster_of(32, random.between(1, 4)));
    cluster.fabric.kind = random.chance(50) ? hw::FabricKind::fat_tree : hw::FabricKind::rail_optimized;
    cluster.fabric.nodes_per_leaf = random.between(1, 4);
    tests::wear(cluster, random);
    if (random.chance(50)) cluster.faults.slow_gpus.resize(std::min<std::size_t>(cluster.faults.slow_gpus.size(), 1));
    if (random.chance(50)) cluster.faults.nvlinks.resize(std::min<std::size_t>(cluster.faults.nvlinks.size(), 1));
    if (random.chance(50)) cluster.faults.nics.clear();
    if (!tests::buildable(cluster)) continue;
    ++built;
    const bool dispatching = random.chance(50);
    const std::size_t classes =
        classes_where_equal(cluster, dispatching ? dispatches(8, 1, 4, random.between(60, 64)) : gathers_beside_computation(8, 4));
    if (classes > 0) ++folded;
  }
  CHECK(built > 30);
  CHECK(folded > 5);
}

std::optional<sim::Folding> folding_of(const hw::ClusterSpec& cluster, const ir::Schedule& schedule) {
  const hw::Topology topology(cluster);
  const sim::CostModel cost = sim::cost_model(cluster);
  return sim::fold(schedule, topology, cost.collectives, sim::ComputeTimes(schedule, cost, topology));
}

// Transfers over hashed routes are listed one by one, though over a single spine the routes are those by destination, whose transfers are
// counted. 64 tokens · 2 are as many rows for each of 8, 16 or 32 experts; of 60, some of 16 or 32 get one more, and which depends on the
// source in two or four ways.
TEST_CASE("counted or listed, the transfers of exchanges tell the same ranks and links apart, on worn clusters too") {
  int folded = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    hw::ClusterSpec cluster = with_sms(cluster_of(64));
    cluster.fabric.kind = random.chance(50) ? hw::FabricKind::fat_tree : hw::FabricKind::rail_optimized;
    cluster.fabric.nodes_per_leaf = random.between(1, 5);
    cluster.fabric.oversubscription = static_cast<double>(random.between(1, 2));
    if (random.chance(70)) tests::wear(cluster, random);
    cluster.faults.nics.resize(std::min<std::size_t>(cluster.faults.nics.size(), 2));
    cluster.faults.nvlinks.resize(std::min<std::size_t>(cluster.faults.nvlinks.size(), 1));
    cluster.faults.slow_gpus.resize(std::min<std::size_t>(cluster.faults.slow_gpus.size(), 1));
    cluster.fabric.spine_choice = hw::SpineChoice::by_destination;
    hw::ClusterSpec hashed = cluster;
    hashed.fabric.spine_choice = hw::SpineChoice::ecmp;
    if (!tests::buildable(cluster)) continue;
    const std::int32_t positions = 8 << random.between(0, 2), expert_tensor = 1 << random.between(0, 1);
    const std::int32_t replicas = random.chance(50) ? 1 : 64 / positions / expert_tensor;   // one may fill some leaves and not others
    const ir::Schedule schedule = dispatches(positions, expert_tensor, replicas, random.chance(50) ? 64 : 60);
    const auto counted = folding_of(cluster, schedule), listed = folding_of(hashed, schedule);
    REQUIRE(counted.has_value() == listed.has_value());
    if (!counted) continue;
    ++folded;
    REQUIRE(counted->class_of_rank == listed->class_of_rank);
    REQUIRE(counted->class_of_link == listed->class_of_link);
    classes_where_equal(cluster, schedule);
  }
  CHECK(folded > 20);
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
