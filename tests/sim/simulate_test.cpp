#include "sim/simulate.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::simulate_test {

using namespace fabricast;
using hw::CollectiveKind;
using ir::Axis;
using ir::HandMade;
using sim::Fidelity;
using tests::ideal_cluster;
using tests::nic;
using tests::nvlink;
using tests::replay;
using tests::seconds;

namespace {

const Rank rank_0{0}, rank_1{1};

/// Time of RmsNorm over so many rows of 8 (hand_made.hpp), as the cost model has it.
SimTime compute_time(const hw::ClusterSpec& cluster, std::int64_t rows) {
  return to_sim_time(hw::GpuCostModel(cluster.gpu).time(hw::RmsNorm<std::int64_t>{rows, 8, hw::Precision::bf16}));
}

/// Rank 0 sends `count` rows of 1 byte to rank 1; the ranks sit on the GPUs given.
HandMade message(GpuId source, GpuId destination, std::int64_t count) {
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::pipeline, {0, 1});
  made.schedule().ranks[0].gpu = source;
  made.schedule().ranks[1].gpu = destination;
  made.op_of(0, 1, ir::Send{Axis::pipeline, 1, 0, ir::rows(count), 1});
  made.op_of(1, 1, ir::Recv{Axis::pipeline, 0, 0, ir::rows(count), 1});
  return made;
}

}  // namespace

// step = Σ op times.
TEST_CASE("a step of computation alone takes the sum of its op times") {
  const auto cluster = ideal_cluster(1, 1);
  HandMade made(1);
  SimTime sum{};
  for (std::int64_t rows = 1; rows <= 20; ++rows) {
    made.op(0, ir::compute(rows * 1000));
    sum += compute_time(cluster, rows * 1000);
  }
  const auto result = replay(cluster, made.schedule());
  CHECK(tests::last_end(result.trace) == sum);
  CHECK(result.events == 20);
}

TEST_CASE("ops of a stream run one after the other, ops of rows zero in no time") {
  const auto cluster = ideal_cluster(1, 1);
  HandMade made(1);
  for (const std::int64_t rows : {5000, 0, 7000}) made.op(0, ir::compute(rows));
  const auto result = replay(cluster, made.schedule());
  const auto& ops = result.trace.ops[0];
  CHECK(ops[0].end == compute_time(cluster, 5000));
  CHECK(ops[1].issued == ops[0].end);
  CHECK(ops[1].end == ops[1].start);
  CHECK(ops[2].start == ops[1].end);
}

// t = latency of the route + software's + bytes / bandwidth of the narrowest link.
TEST_CASE("a message takes latency + bytes / bandwidth, on both ends") {
  auto cluster = ideal_cluster(2, 2);
  cluster.fabric.nic_latency = Seconds(2e-6);
  cluster.collectives.network_step_latency = Seconds(3e-6);
  cluster.collectives.base_latency[CollectiveKind::send] = Seconds(5e-6);
  const auto result = replay(cluster, message(GpuId{0}, GpuId{2}, 1'000'000).schedule());
  const auto expected = SimTime(10'000'000 + 20'000'000);  // 1 MB at 50 GB/s: 20 µs
  CHECK(result.trace.ops[0][0].end == expected);
  CHECK(result.trace.ops[1][0].end == expected);
  CHECK(result.instances[0].floor.value() == doctest::Approx(20e-6).epsilon(1e-12));
}

// Rails are switched by leaves of their own: slots 0 and 1 of different nodes meet at NIC speed, never at NVLink's.
TEST_CASE("a message between unlike slots of different nodes crosses the network") {
  const auto cluster = ideal_cluster(2, 2);
  const auto across = replay(cluster, message(GpuId{0}, GpuId{3}, 1'000'000).schedule());
  CHECK(seconds(across.trace.ops[1][0].end) == doctest::Approx(1e6 / nic).epsilon(1e-9));
  const auto within = replay(cluster, message(GpuId{0}, GpuId{1}, 1'000'000).schedule());
  CHECK(seconds(within.trace.ops[1][0].end) == doctest::Approx(1e6 / nvlink).epsilon(1e-9));
}

TEST_CASE("a message's payload is counted on every link of its route and on no other") {
  const auto cluster = ideal_cluster(2, 2);
  const hw::Topology topology(cluster);
  for (const Fidelity fidelity : {Fidelity::flow, Fidelity::bound}) {
    const auto result = replay(cluster, message(GpuId{0}, GpuId{3}, 12345).schedule(), {.fidelity = fidelity});
    std::vector<Bytes> expected(topology.links().size());
    const hw::Route route = topology.route(GpuId{0}, GpuId{3});
    for (const LinkId link : route.links()) expected[link.index()] = Bytes(12345);
    CHECK(result.link_bytes == expected);
  }
}

// Wire bytes = payload / efficiency: at 80 % a message of 1 MB holds the NIC as long as 1.25 MB would.
TEST_CASE("protocol overhead takes time but is no payload") {
  auto cluster = ideal_cluster(2, 1);
  cluster.collectives.network_efficiency[CollectiveKind::send] = 0.8;
  const auto result = replay(cluster, message(GpuId{0}, GpuId{1}, 1'000'000).schedule(), {.record_link_rates = true});
  CHECK(result.trace.ops[0][0].end == SimTime(25'000'000));
  CHECK(*std::max_element(result.link_bytes.begin(), result.link_bytes.end()) == Bytes(1'000'000));
  CHECK(result.link_rates.front().rate.value() == doctest::Approx(nic));
}

TEST_CASE("a collective starts when its last member has arrived, the others wait from their issue on") {
  const auto cluster = ideal_cluster(1, 2);
  HandMade made(2);
  made.own_program(1);
  made.group(Axis::tensor, {0, 1});
  made.op_of(1, 0, ir::compute(100'000));
  made.op_of(0, 0, ir::collective(CollectiveKind::all_gather, Axis::tensor, 1000));
  made.op_of(1, 0, ir::collective(CollectiveKind::all_gather, Axis::tensor, 1000));
  const auto result = replay(cluster, made.schedule());
  const auto late = compute_time(cluster, 100'000);
  CHECK(result.trace.ops[0][0].issued == SimTime(0));
  CHECK(result.trace.ops[0][0].start == late);
  CHECK(result.trace.ops[1][1].issued == late);
  CHECK(result.trace.ops[1][1].start == late);
  CHECK(result.instances[0].start == late);
}

// step = max(compute, communication).
TEST_CASE("without interference, computation and communication without edges between them overlap perfectly") {
  const auto cluster = ideal_cluster(1, 2);
  for (const std::int64_t rows : {1'000, 100'000, 10'000'000}) {
    HandMade made(2);
    made.group(Axis::tensor, {0, 1});
    made.op(0, ir::compute(rows));
    made.op(1, ir::collective(CollectiveKind::all_gather, Axis::tensor, 2'000'000));
    const SimTime communication(10'000'000);  // the other's shard: 4 MB at 400 GB/s
    const auto result = replay(cluster, made.schedule(), {.interference = false});
    CHECK(result.trace.ops[0][1].end == communication);
    CHECK(tests::last_end(result.trace) == std::max(compute_time(cluster, rows), communication));
  }
}

TEST_CASE("an edge between streams orders its ops") {
  const auto cluster = ideal_cluster(1, 2);
  HandMade made(2);
  made.group(Axis::tensor, {0, 1});
  const auto first = made.op(0, ir::compute(1000));
  const auto gather = made.op(1, ir::collective(CollectiveKind::all_gather, Axis::tensor, 1000), {first});
  made.op(0, ir::compute(2000), {gather});
  const auto result = replay(cluster, made.schedule());
  const auto& ops = result.trace.ops[1];
  CHECK(ops[1].issued == ops[0].end);
  CHECK(ops[2].start == ops[1].end);
}

TEST_CASE("collectives without bytes and collectives of one member cost nothing, latencies included") {
  auto cluster = ideal_cluster(2, 2);
  for (auto& [kind, latency] : cluster.collectives.base_latency) latency = Seconds(1e-3);
  cluster.fabric.nic_latency = cluster.node.nvlink_latency = Seconds(1e-3);
  for (const Fidelity fidelity : {Fidelity::flow, Fidelity::bound}) {
    HandMade made(4);
    made.group(Axis::tensor, {0, 1, 2, 3});
    for (std::int32_t r = 0; r < 4; ++r) made.group(Axis::data, {r});
    for (const auto kind : tests::every_kind) {
      if (kind == CollectiveKind::all_to_all || kind == CollectiveKind::send) continue;
      made.op(1, ir::collective(kind, Axis::tensor, 0));
      made.op(1, ir::collective(kind, Axis::data, 1'000'000));
    }
    const auto result = replay(cluster, made.schedule(), {.fidelity = fidelity});
    CHECK(tests::last_end(result.trace) == SimTime(0));
    for (const Bytes bytes : result.link_bytes) CHECK(bytes == Bytes(0));
  }
}

// bound: base latency + floor, and the floor of an all-gather over two GPUs is the other's shard / NVLink.
TEST_CASE("at bound fidelity a collective takes its base latency and its byte floor") {
  auto cluster = ideal_cluster(1, 2);
  cluster.collectives.base_latency[CollectiveKind::all_gather] = Seconds(7e-6);
  cluster.collectives.nvlink_step_latency = Seconds(1e-3);
  HandMade made(2);
  made.group(Axis::tensor, {0, 1});
  made.op(1, ir::collective(CollectiveKind::all_gather, Axis::tensor, 2'000'000));
  const auto result = replay(cluster, made.schedule(), {.fidelity = Fidelity::bound});
  CHECK(tests::last_end(result.trace) == SimTime(7'000'000 + 10'000'000));
}

TEST_CASE("recorded link rates end at zero and carry what was sent") {
  const auto cluster = ideal_cluster(2, 1);
  const auto result = replay(cluster, message(GpuId{0}, GpuId{1}, 1'000'000).schedule(), {.record_link_rates = true});
  const std::size_t links = hw::Topology(cluster).route(GpuId{0}, GpuId{1}).links().size();
  REQUIRE(result.link_rates.size() == 2 * links);
  for (std::size_t i = 0; i < links; ++i) {
    CHECK(result.link_rates[i].time == SimTime(0));
    CHECK(result.link_rates[i].rate.value() == doctest::Approx(nic));
    CHECK(result.link_rates[links + i].time == SimTime(20'000'000));
    CHECK(result.link_rates[links + i].rate == BytesPerSecond(0));
  }
  CHECK(replay(cluster, message(GpuId{0}, GpuId{1}, 1'000'000).schedule()).link_rates.empty());
}

}  // namespace fabricast::simulate_test
