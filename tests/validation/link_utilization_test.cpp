#include "validation/link_utilization.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "strategies/ir/split_mix.hpp"
#include "tests/hardware_models/test_cluster.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::link_utilization_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

const UtilizationSeries& find(const std::vector<UtilizationSeries>& all, std::int32_t node, hw::LinkKind kind, Direction direction) {
  return *std::find_if(all.begin(), all.end(), [&](const UtilizationSeries& series) {
    return series.node == NodeId{node} && series.kind == kind && series.direction == direction;
  });
}

/// Σ utilisation · duration · bandwidth.
double carried(const UtilizationSeries& series, SimTime end) {
  double bytes = 0;
  for (std::size_t i = 0; i < series.samples.size(); ++i) {
    const SimTime until = i + 1 < series.samples.size() ? series.samples[i + 1].from : end;
    bytes += series.samples[i].utilization * to_seconds(until - series.samples[i].from).value() * series.bandwidth.value();
  }
  return bytes;
}

}  // namespace

// Eight GPUs of 450 GB/s each way into the switch, and eight NICs of 50 GB/s.
TEST_CASE("a node's links are all found, each in its direction") {
  const hw::Topology topology(tests::h100_16x8());
  const auto all = link_utilization(topology, {}, SimTime(1), SimTime(10));
  CHECK(all.size() == 16 * 4);
  for (const UtilizationSeries& series : all) {
    CHECK(series.bandwidth.value() == doctest::Approx(series.kind == hw::LinkKind::nvlink ? 8 * 450e9 : 8 * 50e9));
  }
}

// One NVLink of eight at its full rate over [0, 4) and at half of it over [4, 8): 1/8, then 1/16, then 0.
TEST_CASE("changes that are far apart are kept exactly") {
  const hw::Topology topology(tests::h100_16x8());
  const LinkId out = topology.route(GpuId{0}, GpuId{1}).links().front();
  const std::vector<sim::LinkRate> rates{{SimTime(0), out, BytesPerSecond(450e9)},
                                         {SimTime(4), out, BytesPerSecond(225e9)},
                                         {SimTime(8), out, BytesPerSecond(0)}};
  const auto all = link_utilization(topology, rates, SimTime(1), SimTime(10));
  const auto& samples = find(all, 0, hw::LinkKind::nvlink, Direction::out).samples;
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].from == SimTime(0));
  CHECK(samples[0].utilization == doctest::Approx(1.0 / 8));
  CHECK(samples[1].from == SimTime(4));
  CHECK(samples[1].utilization == doctest::Approx(1.0 / 16));
  CHECK(samples[2].from == SimTime(8));
  CHECK(samples[2].utilization == 0);
}

// GPU 0 of node 0 to GPU 0 of node 1: out of one node's NIC and into the other's, and nowhere else.
TEST_CASE("a transfer between nodes counts where it leaves and where it enters") {
  const hw::Topology topology(tests::h100_16x8());
  std::vector<sim::LinkRate> rates;
  const hw::Route route = topology.route(GpuId{0}, GpuId{8});
  for (const LinkId link : route.links()) rates.push_back({SimTime(0), link, BytesPerSecond(50e9)});
  const auto all = link_utilization(topology, rates, SimTime(1), SimTime(10));
  for (const UtilizationSeries& series : all) {
    const bool out = series.node == NodeId{0} && series.kind == hw::LinkKind::infiniband && series.direction == Direction::out;
    const bool in = series.node == NodeId{1} && series.kind == hw::LinkKind::infiniband && series.direction == Direction::in;
    REQUIRE(series.samples.size() == 1);
    CHECK(series.samples[0].utilization == doctest::Approx(out || in ? 1.0 / 8 : 0.0));
  }
}

// Every rank sends as much to each of the others: all are alike, and one NIC's rates are all NICs'.
TEST_CASE("links whose ranks are simulated once for all are as busy as they are one by one") {
  hw::ClusterSpec cluster = tests::ideal_cluster(4, 4);
  ir::RoutingShape shape{.layers = 1, .sources = 16, .experts = 16, .top_k = 2, .expert_positions = 16, .tokens = 64};
  ir::HandMade made = ir::ExpertGrid{.positions = 16}.make(ir::block_plan(shape));
  made.op(0, ir::compute(1000));
  made.op(1, ir::AllToAll{ir::AllToAll::Direction::dispatch, {}, 512});
  const hw::Topology topology(cluster);
  const auto folded = tests::replay(cluster, made.schedule(), {.record_link_rates = true});
  const auto unfolded = tests::replay(cluster, made.schedule(), {.record_link_rates = true, .fold = false});
  REQUIRE(folded.classes == 1);
  CHECK(folded.link_rates.size() < unfolded.link_rates.size());
  const SimTime end = folded.instances.front().end;
  const auto once = link_utilization(topology, folded.link_rates, SimTime(1), end, folded.rated_as);
  const auto each = link_utilization(topology, unfolded.link_rates, SimTime(1), end);
  const auto of_node = link_utilization(topology, folded.link_rates, SimTime(1), end, folded.rated_as, [](NodeId node) { return node == NodeId{2}; });
  REQUIRE(once.size() == each.size());
  CHECK(of_node.size() == 4);
  for (const UtilizationSeries& series : once) {
    const auto& expected = find(each, series.node.value, series.kind, series.direction).samples;
    REQUIRE(series.samples.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(series.samples[i].from == expected[i].from);
      CHECK(series.samples[i].utilization == doctest::Approx(expected[i].utilization).epsilon(1e-9));
    }
    if (series.node != NodeId{2}) continue;
    CHECK(find(of_node, 2, series.kind, series.direction).samples.size() == expected.size());
  }
}

// Averaging loses no bytes: Σ utilisation · duration · bandwidth = Σ rate · duration.
TEST_CASE("averaging over the resolution keeps the bytes") {
  const hw::Topology topology(tests::h100_16x8());
  const LinkId link = topology.route(GpuId{8}, GpuId{9}).links().back();
  ir::SplitMix64 random(3);
  std::vector<sim::LinkRate> rates;
  double bytes = 0, rate = 0;
  SimTime now(0);
  for (int i = 0; i < 300; ++i) {
    const SimTime next = now + SimTime(random.below(50));
    bytes += rate * to_seconds(next - now).value();
    now = next;
    rate = 1e9 * random.below(450);
    rates.push_back({now, link, BytesPerSecond(rate)});
  }
  const SimTime end = now + SimTime(100);
  bytes += rate * to_seconds(end - now).value();
  const auto all = link_utilization(topology, rates, SimTime(200), end);
  const auto& series = find(all, 1, hw::LinkKind::nvlink, Direction::in);
  CHECK(series.samples.size() < 60);
  CHECK(carried(series, end) == doctest::Approx(bytes).epsilon(1e-9));
}

}  // namespace fabricast::link_utilization_test
