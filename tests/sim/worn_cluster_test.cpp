#include <doctest/doctest.h>

#include <optional>

#include "hardware_models/config_error.hpp"
#include "sim/simulate.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::worn_cluster_test {

using namespace fabricast;
using hw::CollectiveKind;
using ir::Axis;
using ir::HandMade;
using tests::ideal_cluster;
using tests::replay;

namespace {

/// A random cluster with random NICs, routing, differing nodes and faults; some cannot be built.
hw::ClusterSpec random_worn_cluster(tests::Random& random) {
  hw::ClusterSpec cluster = tests::random_cluster(random);
  const std::int64_t gpus = cluster.node.gpus;
  cluster.node.nics = random.chance(30) ? 2 * gpus : gpus % 2 == 0 && random.chance(40) ? gpus / 2 : gpus;
  const hw::SpineChoice choices[] = {hw::SpineChoice::by_destination, hw::SpineChoice::ecmp, hw::SpineChoice::adaptive};
  cluster.fabric.spine_choice = choices[random.between(0, 2)];
  cluster.fabric.ecmp_seed = static_cast<std::uint64_t>(random.between(0, 1000));
  if (random.chance(40)) {
    hw::OtherNodes other;
    other.first = other.last = random.between(0, cluster.nodes - 1);
    other.nic_bandwidth = BytesPerSecond(25e9);
    if (random.chance(50)) other.nics = gpus;
    if (random.chance(50)) other.nvlink_bandwidth = BytesPerSecond(100e9);
    cluster.other_nodes.push_back(other);
  }
  const double shares[] = {0.0, 0.3, 0.7};
  const auto share = [&] { return shares[random.between(0, 2)]; };
  for (std::int64_t node = 0; node < cluster.nodes; ++node) {
    for (std::int64_t gpu = 0; gpu < gpus; ++gpu) {
      if (random.chance(10)) cluster.faults.slow_gpus.push_back({node, gpu, 1.5});
      if (random.chance(10)) cluster.faults.nvlinks.push_back({node, gpu, 0.4});
      if (cluster.nodes > 1 && random.chance(20)) cluster.faults.nics.push_back({node, gpu / 2, share()});
    }
  }
  for (std::int64_t spine = 0; spine < cluster.fabric.spines; ++spine) {
    if (random.chance(20)) cluster.faults.uplinks.push_back({random.between(0, 1), spine, share()});
  }
  return cluster;
}

std::optional<hw::Topology> buildable(const hw::ClusterSpec& cluster) {
  try {
    return hw::Topology(cluster);
  } catch (const hw::ConfigError&) {
    return std::nullopt;
  }
}

}  // namespace

// simulate() itself throws PhysicsError below the floor; this looks from outside, too.
TEST_CASE("no collective of a random schedule on a random worn cluster ends before its byte floor") {
  int built = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    tests::Random random(seed);
    const hw::ClusterSpec cluster = random_worn_cluster(random);
    if (!buildable(cluster)) continue;
    ++built;
    tests::RandomSchedule made(random, cluster.gpus());
    for (const sim::Fidelity fidelity : {sim::Fidelity::bound, sim::Fidelity::flow}) {
      for (const sim::InstanceInterval& ran : replay(cluster, made.schedule(), {.fidelity = fidelity}).instances) {
        REQUIRE(tests::seconds(ran.end - ran.start) >= ran.floor.value() * (1 - 1e-9) - 1e-12);
      }
    }
  }
  CHECK(built > 80);
}

// A message between any two GPUs alone: bytes / narrowest link of its route, and never less than its floor.
TEST_CASE("a message on a worn cluster takes the narrowest link of its route") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    tests::Random random(seed);
    hw::ClusterSpec cluster = random_worn_cluster(random);
    cluster.node.nvlink_latency = cluster.fabric.nic_latency = cluster.fabric.switch_latency = Seconds(0);
    cluster.collectives = tests::ideal_collectives();
    const auto topology = buildable(cluster);
    if (!topology || cluster.gpus() < 2) continue;
    const GpuId source{static_cast<std::int32_t>(random.between(0, cluster.gpus() - 2))};
    const GpuId destination{static_cast<std::int32_t>(random.between(source.value + 1, cluster.gpus() - 1))};
    HandMade made(2);
    made.own_program(1);
    made.group(Axis::pipeline, {0, 1});
    made.schedule().ranks[0].gpu = source;
    made.schedule().ranks[1].gpu = destination;
    made.op_of(0, 1, ir::Send{Axis::pipeline, 1, 0, ir::rows(10'000'000), 1});
    made.op_of(1, 1, ir::Recv{Axis::pipeline, 0, 0, ir::rows(10'000'000), 1});
    double narrowest = 1e18;
    const hw::Route route = topology->route(source, destination);
    for (const LinkId link : route.links()) narrowest = std::min(narrowest, topology->links()[link.index()].bandwidth.value());
    const auto result = replay(cluster, made.schedule());
    CHECK(tests::seconds(tests::last_end(result.trace)) == doctest::Approx(1e7 / narrowest).epsilon(1e-9));
    CHECK(result.instances[0].floor.value() <= 1e7 / narrowest * (1 + 1e-9));
  }
}

// t(slow) = slowdown · t, and what waits for it waits so long.
TEST_CASE("a straggler takes its factor longer, and a collective starts when it arrives") {
  hw::ClusterSpec cluster = ideal_cluster(1, 4);
  cluster.faults.slow_gpus = {{0, 2, 1.5}};
  HandMade made(4);
  made.group(Axis::tensor, {0, 1, 2, 3});
  made.op(0, ir::compute(1'000'000));
  made.op(0, ir::collective(CollectiveKind::all_gather, Axis::tensor, 1000));
  const auto result = replay(cluster, made.schedule());
  const SimTime usual = result.trace.ops[0][0].end, slow = result.trace.ops[2][0].end;
  CHECK(tests::seconds(slow) == doctest::Approx(1.5 * tests::seconds(usual)).epsilon(1e-9));
  for (const auto& ops : result.trace.ops) CHECK(ops[1].start == slow);
}

TEST_CASE("a node with other GPUs computes at their rate") {
  hw::ClusterSpec cluster = ideal_cluster(2, 1);
  cluster.other_nodes.resize(1);
  cluster.other_nodes[0].first = cluster.other_nodes[0].last = 1;
  cluster.other_nodes[0].gpu = cluster.gpu;
  cluster.other_nodes[0].gpu->memory_bandwidth = cluster.gpu.memory_bandwidth / 4.0;
  HandMade made(2);
  made.op(0, ir::compute(1'000'000));
  const auto result = replay(cluster, made.schedule());
  CHECK(tests::seconds(result.trace.ops[1][0].end) == doctest::Approx(4 * tests::seconds(result.trace.ops[0][0].end)).epsilon(1e-9));
}

}  // namespace fabricast::worn_cluster_test
