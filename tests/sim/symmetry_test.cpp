// What must not matter, and what must matter in proportion.

#include <doctest/doctest.h>

#include <numeric>
#include <utility>
#include <vector>

#include "sim/simulate.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::symmetry_test {

using namespace fabricast;
using hw::CollectiveKind;

namespace {

std::vector<std::int64_t> shuffled(std::int64_t count, tests::Random& random) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(i) - 1))]);
  }
  return order;
}

/// Two leaves or pods of two or three nodes each. One spine: which of several a route takes depends on the number of the destination.
hw::ClusterSpec symmetric_cluster(tests::Random& random) {
  hw::ClusterSpec cluster = tests::random_cluster(random);
  cluster.fabric.nodes_per_leaf = random.between(2, 3);
  cluster.nodes = 2 * cluster.fabric.nodes_per_leaf;
  cluster.fabric.spines = 1;
  return cluster;
}

GpuId gpu_at(const hw::ClusterSpec& cluster, std::int64_t node, std::int64_t slot) {
  return GpuId{static_cast<std::int32_t>(node * cluster.node.gpus + slot)};
}

/// Slots change places: on rails in all nodes alike, since a rail is a slot, below one leaf in each node by itself.
std::vector<GpuId> with_slots_moved(const hw::ClusterSpec& cluster, tests::Random& random) {
  const std::vector<std::int64_t> rail_at = shuffled(cluster.node.gpus, random);
  std::vector<GpuId> places;
  for (std::int64_t node = 0; node < cluster.nodes; ++node) {
    const bool rails = cluster.fabric.kind == hw::FabricKind::rail_optimized;
    for (const std::int64_t slot : rails ? rail_at : shuffled(cluster.node.gpus, random)) places.push_back(gpu_at(cluster, node, slot));
  }
  return places;
}

/// Nodes change places within their leaf or pod, and leaves or pods among each other.
std::vector<GpuId> with_nodes_moved(const hw::ClusterSpec& cluster, tests::Random& random) {
  const std::int64_t per_leaf = cluster.fabric.nodes_per_leaf;
  std::vector<GpuId> places;
  for (const std::int64_t leaf : shuffled(cluster.nodes / per_leaf, random)) {
    for (const std::int64_t node : shuffled(per_leaf, random)) {
      for (std::int64_t slot = 0; slot < cluster.node.gpus; ++slot) places.push_back(gpu_at(cluster, leaf * per_leaf + node, slot));
    }
  }
  return places;
}

ir::Schedule moved_to(ir::Schedule schedule, const std::vector<GpuId>& places) {
  for (ir::RankBinding& rank : schedule.ranks) rank.gpu = places[rank.gpu.index()];
  return schedule;
}

/// One collective among all GPUs of the first node of each leaf or pod.
ir::Schedule on_first_nodes_of_leaves(const hw::ClusterSpec& cluster, CollectiveKind kind) {
  std::vector<GpuId> used;
  for (std::int64_t node = 0; node < cluster.nodes; node += cluster.fabric.nodes_per_leaf) {
    for (std::int64_t slot = 0; slot < cluster.node.gpus; ++slot) used.push_back(gpu_at(cluster, node, slot));
  }
  ir::HandMade made(static_cast<std::int32_t>(used.size()));
  std::vector<std::int32_t> members(used.size());
  std::iota(members.begin(), members.end(), 0);
  made.group(ir::Axis::data, members);
  for (std::size_t r = 0; r < used.size(); ++r) made.schedule().ranks[r].gpu = used[r];
  made.op(1, ir::collective(kind, ir::Axis::data, 100'000));
  return made.schedule();
}

constexpr sim::SimulateOptions exact{.fidelity = sim::Fidelity::flow_exact};

}  // namespace

TEST_CASE("moving ranks to slots that look the same changes no time of a random schedule") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    const hw::ClusterSpec cluster = symmetric_cluster(random);
    tests::RandomSchedule made(random, cluster.gpus());
    const ir::Schedule moved = moved_to(made.schedule(), with_slots_moved(cluster, random));
    const ir::Trace before = tests::replay(cluster, made.schedule(), exact).trace, after = tests::replay(cluster, moved, exact).trace;
    for (std::size_t r = 0; r < before.ops.size(); ++r) {
      for (std::size_t i = 0; i < before.ops[r].size(); ++i) {
        CAPTURE(r);
        CAPTURE(i);
        REQUIRE(before.ops[r][i].start.value() == after.ops[r][i].start.value());
        REQUIRE(before.ops[r][i].end.value() == after.ops[r][i].end.value());
      }
    }
  }
}

// Rings visit nodes by number: who is whose neighbour changes with the places, the time of the whole does not.
TEST_CASE("moving ranks to nodes that look the same changes no collective's time") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    const hw::ClusterSpec cluster = symmetric_cluster(random);
    const std::vector<GpuId> places = with_nodes_moved(cluster, random);
    for (const CollectiveKind kind : {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter}) {
      CAPTURE(static_cast<int>(kind));
      const ir::Schedule schedule = on_first_nodes_of_leaves(cluster, kind);
      const SimTime before = tests::last_end(tests::replay(cluster, schedule, exact).trace);
      CHECK(before.value() == tests::last_end(tests::replay(cluster, moved_to(schedule, places), exact).trace).value());
    }
  }
}

// Alone, t = L + V / rate: V bytes on the links that bind, L latencies of software and routes. Rates c times as high: t' = L + V / (c · rate), so
// (c · t' − t) / (c − 1) = L whatever the size, and c · t' / t → 1 as messages grow.
TEST_CASE("with all bandwidths c times as high a large message takes 1/c of the time, and what does not scale is the latency") {
  constexpr double c = 8;
  for (const CollectiveKind kind :
       {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter, CollectiveKind::broadcast}) {
    for (const std::int64_t nodes : {1, 4}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(nodes);
      hw::ClusterSpec cluster = tests::ideal_cluster(nodes, 4);
      cluster.node.nvlink_latency = Seconds(1e-6);
      cluster.fabric.nic_latency = Seconds(3e-6);
      cluster.collectives.base_latency[kind] = Seconds(5e-6);
      hw::ClusterSpec faster = cluster;
      tests::scale_rates(faster, c);
      const auto seconds = [&](const hw::ClusterSpec& on, std::int64_t shard) {
        ir::HandMade made(static_cast<std::int32_t>(on.gpus()));
        std::vector<std::int32_t> members(static_cast<std::size_t>(on.gpus()));
        std::iota(members.begin(), members.end(), 0);
        made.group(ir::Axis::data, members);
        made.op(1, ir::Collective{kind, ir::Axis::data, ir::rows(shard), 2, hw::CollectiveAlgorithm::ring});
        return tests::seconds(tests::last_end(tests::replay(on, made.schedule()).trace));
      };
      const auto latency = [&](std::int64_t shard) { return (c * seconds(faster, shard) - seconds(cluster, shard)) / (c - 1); };
      CHECK(latency(1'000'000) == doctest::Approx(latency(64'000'000)).epsilon(1e-4));
      CHECK(latency(1'000'000) > 5e-6);
      CHECK(c * seconds(faster, 4'000'000'000) / seconds(cluster, 4'000'000'000) == doctest::Approx(1.0).epsilon(0.01));
    }
  }
}

}  // namespace fabricast::symmetry_test
