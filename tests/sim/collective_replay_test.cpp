// Collectives against their closed forms, through the whole simulator.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/simulate.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::collective_replay_test {

using namespace fabricast;
using hw::CollectiveAlgorithm;
using hw::CollectiveKind;
using ir::Axis;
using ir::HandMade;
using tests::ideal_cluster;
using tests::nic;
using tests::nvlink;
using tests::replay;
using tests::seconds;

namespace {

std::vector<std::int32_t> all_ranks(std::int64_t ranks) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(ranks));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// All GPUs of the cluster reduce a tensor of so many bytes.
sim::SimulationResult all_reduce(const hw::ClusterSpec& cluster, std::int64_t bytes, CollectiveAlgorithm algorithm) {
  HandMade made(static_cast<std::int32_t>(cluster.gpus()));
  made.group(Axis::tensor, all_ranks(cluster.gpus()));
  made.op(1, ir::Collective{CollectiveKind::all_reduce, Axis::tensor, ir::rows(bytes), 1, algorithm});
  return replay(cluster, made.schedule());
}

/// All GPUs of the cluster hold one expert each and send `rows` rows of 8 KiB to every one, themselves included.
HandMade dispatch(const hw::ClusterSpec& cluster, std::int64_t rows,
                  ir::AllToAll::Direction direction = ir::AllToAll::Direction::dispatch) {
  const auto ranks = static_cast<std::int32_t>(cluster.gpus());
  const ir::ExpertGrid grid{.positions = ranks};
  HandMade made = grid.make(ir::block_plan({.layers = 1, .sources = ranks, .experts = ranks, .top_k = 1, .expert_positions = ranks,
                                            .tokens = rows * ranks}));
  made.op(1, ir::AllToAll{direction, {}, 8192, CollectiveAlgorithm::flat});
  return made;
}

double step_of(const sim::SimulationResult& result) { return seconds(tests::last_end(result.trace)); }

}  // namespace

// n GPUs of a node: 2(n-1)/n · S / NVLink + 2(n-1) steps of latency.
TEST_CASE("a ring all-reduce in a node takes 2(n-1)/n S over NVLink and 2(n-1) latencies") {
  for (const std::int64_t n : {2, 4, 8}) {
    auto cluster = ideal_cluster(1, n);
    cluster.node.nvlink_latency = Seconds(2e-6);
    cluster.collectives.nvlink_step_latency = Seconds(1e-6);
    cluster.collectives.base_latency[CollectiveKind::all_reduce] = Seconds(10e-6);
    const double size = 8e6, parts = static_cast<double>(n);
    const double expected = 10e-6 + 2 * (parts - 1) * 3e-6 + 2 * (parts - 1) / parts * size / nvlink;
    CHECK(step_of(all_reduce(cluster, 8'000'000, CollectiveAlgorithm::ring)) == doctest::Approx(expected).epsilon(1e-9));
  }
}

// N nodes of one GPU: 2(N-1)/N · S / NIC.
TEST_CASE("a ring all-reduce over nodes of one GPU runs at the NIC's rate") {
  const auto result = all_reduce(ideal_cluster(8, 1), 8'000'000, CollectiveAlgorithm::ring);
  CHECK(step_of(result) == doctest::Approx(2.0 * 7 / 8 * 8e6 / nic).epsilon(1e-9));
  CHECK(result.instances[0].floor.value() == doctest::Approx(2.0 * 7 / 8 * 8e6 / nic).epsilon(1e-9));
}

// g per node, N nodes: (g-1)/g · S / NVLink, then 2(N-1)/N · (S/g) / NIC, then (g-1)/g · S / NVLink.
TEST_CASE("a two-level all-reduce takes a reduce-scatter, an all-reduce of S/g per rail and an all-gather") {
  auto cluster = ideal_cluster(4, 8);
  cluster.fabric.nic_latency = Seconds(5e-6);
  cluster.node.nvlink_latency = Seconds(1e-6);
  const double size = 64e6, g = 8, nodes = 4;
  const double within = (g - 1) / g * size / nvlink + (g - 1) * 1e-6;
  const double across = 2 * (nodes - 1) / nodes * size / g / nic + 2 * (nodes - 1) * 5e-6;
  CHECK(step_of(all_reduce(cluster, 64'000'000, CollectiveAlgorithm::two_level)) == doctest::Approx(2 * within + across).epsilon(1e-9));
}

// n GPUs on nodes of g, every NIC sends (n-g)/n · S at its full rate; what stays in the node is faster.
TEST_CASE("an all-to-all on a non-blocking fabric runs at the NIC's rate") {
  for (const auto& [nodes, gpus] : {std::pair{8, 1}, std::pair{4, 4}, std::pair{2, 8}}) {
    const auto cluster = ideal_cluster(nodes, gpus);
    const double n = nodes * gpus, leaving = (n - gpus) * 100 * 8192.0;
    const auto result = replay(cluster, dispatch(cluster, 100).schedule());
    CHECK(step_of(result) == doctest::Approx(leaving / nic).epsilon(1e-9));
    CHECK(result.instances[0].floor.value() == doctest::Approx(leaving / nic).epsilon(1e-9));
  }
}

// 4 leaves of 4 hosts, uplinks of half the downlinks: each leaf sends 4·12 messages through 4·NIC/2.
TEST_CASE("an all-to-all on a 2:1 oversubscribed fat tree runs at the uplinks' rate") {
  auto cluster = ideal_cluster(16, 1);
  cluster.fabric.kind = hw::FabricKind::fat_tree;
  cluster.fabric.nodes_per_leaf = 4;
  cluster.fabric.spines = 4;
  cluster.fabric.oversubscription = 2.0;
  const auto result = replay(cluster, dispatch(cluster, 100).schedule());
  const double expected = 4 * 12 * 100 * 8192.0 / (4 * nic / 2);
  CHECK(step_of(result) == doctest::Approx(expected).epsilon(1e-9));
  CHECK(result.instances[0].floor.value() == doctest::Approx(expected).epsilon(1e-9));
}

TEST_CASE("combine takes as long as the dispatch that it mirrors") {
  const auto cluster = ideal_cluster(4, 2);
  const auto there = replay(cluster, dispatch(cluster, 37).schedule());
  const auto back = replay(cluster, dispatch(cluster, 37, ir::AllToAll::Direction::combine).schedule());
  CHECK(step_of(there) == doctest::Approx(step_of(back)).epsilon(1e-9));
}

// Rows dealt cyclically differ by one at most: the busiest NIC bounds the collective, and batching may add a part in a thousand.
TEST_CASE("an all-to-all of nearly equal sizes ends within a part in a thousand of its floor") {
  const auto cluster = ideal_cluster(16, 4);
  HandMade made = dispatch(cluster, 1);
  made.schedule().routing =
      ir::block_plan({.layers = 1, .sources = 64, .experts = 64, .top_k = 2, .expert_positions = 64, .tokens = 10'000});
  const auto result = replay(cluster, made.schedule());
  const double floor = result.instances[0].floor.value();
  CHECK(step_of(result) >= floor);
  CHECK(step_of(result) <= floor * 1.001);
}

// Members 0 and 1 exchange 1000 rows, 2 and 3 ten; 4 has nothing to send or receive: 1 + 2 + 8 MB / 400 GB/s = 23 µs, 3.2 µs and 1 µs.
TEST_CASE("a member's op ends with its own transfers, without any after the base latency") {
  auto cluster = ideal_cluster(1, 5);
  cluster.collectives.base_latency[CollectiveKind::all_to_all] = Seconds(1e-6);
  cluster.node.nvlink_latency = Seconds(2e-6);
  const ir::RoutingShape shape{.layers = 1, .sources = 5, .experts = 5, .top_k = 1, .expert_positions = 5, .tokens = 1000};
  std::vector<std::uint32_t> counts(25);
  counts[0 * 5 + 1] = counts[1 * 5 + 0] = 1000;
  counts[2 * 5 + 3] = counts[3 * 5 + 2] = 10;
  auto plan = ir::RoutingPlan::from_counts(shape, 1, counts);
  plan.place_experts({{{{0}}, {{1}}, {{2}}, {{3}}, {{4}}}}, {});
  HandMade made = ir::ExpertGrid{.positions = 5}.make(std::move(plan));
  made.op(1, ir::AllToAll{ir::AllToAll::Direction::dispatch, {}, 8000, CollectiveAlgorithm::flat});
  const auto result = replay(cluster, made.schedule());
  CHECK(result.trace.ops[0][0].end == SimTime(23'000'000));
  CHECK(result.trace.ops[1][0].end == SimTime(23'000'000));
  CHECK(result.trace.ops[2][0].end == SimTime(3'200'000));
  CHECK(result.trace.ops[3][0].end == SimTime(3'200'000));
  CHECK(result.trace.ops[4][0].end == SimTime(1'000'000));
  CHECK(result.instances[0].end == SimTime(23'000'000));
}

TEST_CASE("one collective takes no less time with more bytes and no more with more bandwidth") {
  for (const auto algorithm : {CollectiveAlgorithm::ring, CollectiveAlgorithm::two_level}) {
    double before = 0.0;
    for (std::int64_t bytes = 1'000; bytes <= 1'000'000'000; bytes *= 10) {
      const double time = step_of(all_reduce(ideal_cluster(4, 4), bytes, algorithm));
      CHECK(time > before);
      before = time;
    }
    for (const double factor : {1.5, 2.0, 4.0}) {
      auto cluster = ideal_cluster(4, 4);
      tests::scale_rates(cluster, factor);
      const double time = step_of(all_reduce(cluster, 1'000'000'000, algorithm));
      CHECK(time < before);
      before = time;
    }
  }
}

}  // namespace fabricast::collective_replay_test
