// All-reduces over trees, rails and reducing switches against their closed forms, through the whole simulator.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "sim/simulate.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::pipelined_collectives_test {

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

constexpr double size = 64e6;

constexpr CollectiveAlgorithm across_nodes[] = {CollectiveAlgorithm::two_level, CollectiveAlgorithm::rail_ring, CollectiveAlgorithm::tree,
                                                CollectiveAlgorithm::nvls_tree, CollectiveAlgorithm::sharp};

/// Switches that reduce, and levels pipelined in pieces of `chunk` bytes.
hw::ClusterSpec reducing_cluster(std::int64_t nodes, std::int64_t gpus, std::int64_t chunk = 1) {
  auto cluster = ideal_cluster(nodes, gpus);
  cluster.node.in_switch_reduction = cluster.collectives.in_switch_reduction = true;
  cluster.fabric.in_network_reduction = cluster.collectives.in_network_reduction = true;
  cluster.collectives.pipeline_chunk = Bytes(chunk);
  return cluster;
}

sim::SimulationResult all_reduce(const hw::ClusterSpec& cluster, CollectiveAlgorithm algorithm, std::vector<std::int32_t> ranks = {}) {
  if (ranks.empty()) {
    ranks.resize(static_cast<std::size_t>(cluster.gpus()));
    std::iota(ranks.begin(), ranks.end(), 0);
  }
  HandMade made(static_cast<std::int32_t>(cluster.gpus()));
  made.group(Axis::tensor, ranks);
  made.op(1, ir::Collective{CollectiveKind::all_reduce, Axis::tensor, ir::rows(static_cast<std::int64_t>(size)), 1, algorithm});
  return replay(cluster, made.schedule());
}

double time_of(const hw::ClusterSpec& cluster, CollectiveAlgorithm algorithm) {
  return seconds(tests::last_end(all_reduce(cluster, algorithm).trace));
}

doctest::Approx about(double value, double relative = 1e-6) { return doctest::Approx(value).epsilon(relative).scale(0.0); }

}  // namespace

// Every GPU sends S to be added and its share of the sum to be multicast: S(1 + 1/g) / NVLink, after two halves of a hop and two steps.
TEST_CASE("an NVLS all-reduce takes S(1 + 1/g) over NVLink, less than a ring among more than two") {
  for (const std::int64_t g : {2, 4, 8}) {
    auto cluster = reducing_cluster(1, g);
    cluster.node.nvlink_latency = Seconds(1e-6);
    cluster.collectives.nvlink_step_latency = Seconds(3e-6);
    const double expected = size * (1 + 1.0 / static_cast<double>(g)) / nvlink + 2 * 3.5e-6;
    CHECK(time_of(cluster, CollectiveAlgorithm::nvls) == about(expected));
  }
}

// The floor with a switch that adds: every GPU sends S and receives S; without: 2(g-1)/g · S, which NVLS would beat.
TEST_CASE("the floor of an all-reduce in a node knows whether the switch reduces") {
  auto cluster = reducing_cluster(1, 8);
  CHECK(all_reduce(cluster, CollectiveAlgorithm::nvls).instances[0].floor.value() == about(size / nvlink));
  cluster.node.in_switch_reduction = false;
  CHECK(all_reduce(cluster, CollectiveAlgorithm::ring).instances[0].floor.value() == about(2 * 7 / 8.0 * size / nvlink));
  CHECK_THROWS_AS(all_reduce(cluster, CollectiveAlgorithm::nvls), sim::PhysicsError);
}

// Pieces of 1/8: Σ T_i / 8 + 7/8 · max T_i, the NVLink phases (7/8 · S / 1.6 TB/s each) beside the network's (2 · 3/4 · S/8 / NIC).
TEST_CASE("the levels of a two-level all-reduce overlap but for a piece of each") {
  auto cluster = reducing_cluster(4, 8, static_cast<std::int64_t>(size) / 8);
  cluster.node.nvlink_bandwidth = BytesPerSecond(1.6e12);
  const double within = 7 / 8.0 * size / 1.6e12, across = 2 * 3 / 4.0 * size / 8 / nic;
  CHECK(time_of(cluster, CollectiveAlgorithm::two_level) == about(across + 2 * within / 8));
  cluster.collectives.pipeline_chunk = Bytes(0);
  CHECK(time_of(cluster, CollectiveAlgorithm::two_level) == about(across + 2 * within));
}

// n = 32 members on g = 8 rails: every NIC carries 2 · 31/32 · S/8, every NVLink 8 times that (PXN's hop included).
TEST_CASE("a ring on each rail keeps every NIC busy with 2(n-1)/n S/g") {
  auto cluster = reducing_cluster(4, 8);
  cluster.node.nvlink_bandwidth = BytesPerSecond(800e9);
  CHECK(time_of(cluster, CollectiveAlgorithm::rail_ring) == about(2 * 31 / 32.0 * size / 8 / nic));
  cluster.node.nvlink_bandwidth = BytesPerSecond(200e9);
  CHECK(time_of(cluster, CollectiveAlgorithm::rail_ring) == about(2 * 31 / 32.0 * size / 200e9));
}

// Two trees of half a shard each. With two nodes each is a root once: S/g out of each NIC. With four, the inner nodes send half a shard up
// and two halves down in one tree and half a shard up in the other: 2 S/g.
TEST_CASE("a double tree sends S/g out of every NIC on two nodes and 2 S/g at most on more") {
  auto two = reducing_cluster(2, 8), four = reducing_cluster(4, 8);
  for (auto* cluster : {&two, &four}) cluster->node.nvlink_bandwidth = BytesPerSecond(1.6e12);
  CHECK(time_of(two, CollectiveAlgorithm::tree) == about(size / 8 / nic));
  CHECK(time_of(four, CollectiveAlgorithm::tree) == about(2 * size / 8 / nic));
  CHECK(time_of(four, CollectiveAlgorithm::nvls_tree) == about(2 * size / 8 / nic));
}

// Over 400 GB/s of NVLink: S(1 + 1/8) = 180 us against S/8 / NIC = 160 us.
TEST_CASE("an NVLS tree on two nodes runs at the NVSwitch's rate where that is the slower level") {
  CHECK(time_of(reducing_cluster(2, 8), CollectiveAlgorithm::nvls_tree) == about(size * (1 + 1 / 8.0) / nvlink));
}

// The network adds: S/g out of every NIC whatever the number of nodes, and that is the floor; in the node 2 · (g-1)/g · S.
TEST_CASE("an all-reduce that the network reduces sends S/g out of every NIC") {
  for (const std::int64_t nodes : {2, 8}) {
    auto cluster = reducing_cluster(nodes, 8);
    cluster.node.nvlink_bandwidth = BytesPerSecond(1.6e12);
    CHECK(time_of(cluster, CollectiveAlgorithm::sharp) == about(size / 8 / nic));
    CHECK(all_reduce(cluster, CollectiveAlgorithm::sharp).instances[0].floor.value() == about(size / 8 / nic));
  }
}

TEST_CASE("links carry what NVLS puts on them") {
  const auto result = all_reduce(reducing_cluster(1, 4), CollectiveAlgorithm::nvls);
  for (const Bytes bytes : result.link_bytes) CHECK(bytes == Bytes(80'000'000));
}

// without latencies: twice the rate of everything, half the time
TEST_CASE("scaling all rates scales every all-reduce") {
  for (const CollectiveAlgorithm algorithm : across_nodes) {
    auto cluster = reducing_cluster(4, 4, 1'000'000);
    const double before = time_of(cluster, algorithm);
    tests::scale_rates(cluster, 2.0);
    CHECK(time_of(cluster, algorithm) == about(before / 2));
  }
}

TEST_CASE("which nodes and slots the members of an all-reduce take makes no difference where all are alike") {
  const std::vector<std::int32_t> permuted = {9, 8, 11, 10, 1, 0, 3, 2, 13, 12, 15, 14, 5, 4, 7, 6};
  for (const CollectiveAlgorithm algorithm : across_nodes) {
    const auto cluster = reducing_cluster(4, 4, 1'000'000);
    CHECK(seconds(tests::last_end(all_reduce(cluster, algorithm, permuted).trace)) == about(time_of(cluster, algorithm)));
  }
}

TEST_CASE("every algorithm waits for all latencies on its way once") {
  auto cluster = reducing_cluster(4, 8);
  cluster.node.nvlink_latency = Seconds(1e-3);
  cluster.fabric.nic_latency = Seconds(10e-3);
  const auto latency = [&](CollectiveAlgorithm algorithm) { return time_of(cluster, algorithm); };
  // RS 7, AG 7 hops of 1 ms, ring of 4: 6 of 10 ms
  CHECK(latency(CollectiveAlgorithm::two_level) == about(14e-3 + 60e-3, 0.01));
  // chain 7 up and down, tree of depth 2 up and down
  CHECK(latency(CollectiveAlgorithm::tree) == about(14e-3 + 40e-3, 0.01));
  // half a hop into the switch and out of it, twice at most per direction; the tree as above
  CHECK(latency(CollectiveAlgorithm::nvls_tree) == about(1e-3 + 40e-3, 0.02));
  // one hop there and back; half a route to the leaf
  CHECK(latency(CollectiveAlgorithm::sharp) == about(2e-3 + 5e-3, 0.05));
}

}  // namespace fabricast::pipelined_collectives_test
