#include <doctest/doctest.h>

#include <algorithm>

#include "sim/simulate.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"
#include "tests/sim/worn_cluster.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::worn_cluster_test {

using namespace fabricast;
using hw::CollectiveKind;
using ir::Axis;
using ir::HandMade;
using tests::ideal_cluster;
using tests::replay;

namespace {

hw::ClusterSpec random_worn_cluster(tests::Random& random) {
  hw::ClusterSpec cluster = tests::random_cluster(random);
  tests::wear(cluster, random);
  return cluster;
}

}  // namespace

// simulate() itself throws PhysicsError below the floor; this looks from outside, too.
TEST_CASE("no collective of a random schedule on a random worn cluster ends before its byte floor") {
  int built = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    tests::Random random(seed);
    const hw::ClusterSpec cluster = random_worn_cluster(random);
    if (!tests::buildable(cluster)) continue;
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
    const auto topology = tests::buildable(cluster);
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
