// Synthetic measurements of collectives from known constants, with noise and wild rows, are fitted: the constants must come back.
#include "validation/calibrate_collectives.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "hardware_models/cluster_config.hpp"
#include "hardware_models/config_error.hpp"
#include "strategies/ir/split_mix.hpp"
#include "validation/collective_bench.hpp"
#include "validation/experiment_document.hpp"
#include "validation/lone_collective.hpp"

namespace fabricast::calibrate_collectives_test {

using namespace fabricast;
using namespace fabricast::validation;
using hw::CollectiveKind;

constexpr double deviation_of_uniform = 0.28867513459481287;   // 1 / sqrt(12)

hw::ClusterSpec cluster_named(const std::string& name) {
  return hw::read_cluster(load_cluster_document(std::string(FABRICAST_SOURCE_DIR "/configs/clusters/") + name + ".json"));
}

CollectiveMeasurement row_of(CollectiveKind kind, std::int64_t bytes, std::int64_t nodes, std::int64_t gpus) {
  CollectiveMeasurement row;
  row.kind = kind;
  row.bytes = Bytes(bytes);
  row.nodes = nodes;
  row.gpus_per_node = gpus;
  row.place = {"made_up", 1};
  return row;
}

/// Sizes from 8 KiB to 1 GiB, each so many times the one before.
std::vector<CollectiveMeasurement> rows_in_node(std::int64_t growth = 4) {
  std::vector<CollectiveMeasurement> rows;
  for (const CollectiveKind kind : {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter, CollectiveKind::all_to_all}) {
    for (const std::int64_t gpus : {2, 8}) {
      for (std::int64_t bytes = 8192; bytes <= (std::int64_t{1} << 30); bytes *= growth) rows.push_back(row_of(kind, bytes, 1, gpus));
    }
  }
  return rows;
}

/// Times on this cluster, each off by a factor whose logarithm has the deviation `noise`; every `wild`-th is ten times too long.
Measurements measured(const hw::ClusterSpec& cluster, const std::vector<CollectiveMeasurement>& rows, double noise, int wild = 0) {
  Measurements result;
  const hw::Topology topology(cluster);
  const hw::CollectiveModel model(cluster.collectives);
  ir::SplitMix64 random(7);
  int i = 0;
  for (CollectiveMeasurement row : rows) {
    const double uniform = static_cast<double>(random.next() >> 11) * 0x1p-53 - 0.5;
    double factor = std::exp(noise / deviation_of_uniform * uniform);
    if (wild > 0 && ++i % wild == 0) factor *= 10;
    row.seconds = row.p10 = row.p90 =
        LoneCollective(row, topology, cluster.node.in_switch_reduction, cluster.fabric.in_network_reduction).time(model) * factor;
    result.collectives.push_back(row);
  }
  return result;
}

/// What was measured: an H100 node whose library differs from the profile that the fit starts from.
hw::ClusterSpec other_library() {
  hw::ClusterSpec cluster = cluster_named("h100_1x8");
  hw::LibraryKernels& kernels = *cluster.collectives.kernels;
  kernels.call = Seconds(8e-6);
  kernels.simple.nvlink_share = 0.6;
  kernels.nvls.nvlink_share = 0.5;
  kernels.point_to_point.nvlink_share = 0.5;
  kernels.ll.nvlink_step = Seconds(0.4e-6);
  kernels.simple.call = kernels.nvls.call = kernels.nvls_tree.call = Seconds(14e-6);
  return cluster;
}

void check_recovered(const hw::CollectiveSpec& fitted, const hw::CollectiveSpec& truth, double within) {
  const hw::LibraryKernels &found = *fitted.kernels, &is = *truth.kernels;
  CHECK(found.simple.nvlink_share == doctest::Approx(is.simple.nvlink_share).epsilon(within));
  CHECK(found.nvls.nvlink_share == doctest::Approx(is.nvls.nvlink_share).epsilon(within));
  CHECK(found.point_to_point.nvlink_share == doctest::Approx(is.point_to_point.nvlink_share).epsilon(within));
  CHECK(found.call.value() == doctest::Approx(is.call.value()).epsilon(2 * within));
  CHECK(found.ll.nvlink_step.value() == doctest::Approx(is.ll.nvlink_step.value()).epsilon(3 * within));
  CHECK(found.nvls_tree.call == found.nvls.call);
}

TEST_CASE("the closed form of a lone collective is what the simulator says of it on an idle node") {
  const hw::ClusterSpec cluster = cluster_named("h100_1x8");
  const hw::Topology topology(cluster);
  const hw::CollectiveModel model(cluster.collectives);
  for (const CollectiveKind kind : hw::all_collective_kinds) {
    for (const std::int64_t gpus : {2, 8}) {
      for (const std::int64_t bytes : {8192, 1 << 20, 1 << 28}) {
        CAPTURE(hw::name_of(kind));
        CAPTURE(gpus);
        CAPTURE(bytes);
        CollectiveBench bench;
        bench.kind = kind;
        const std::int64_t members = kind == CollectiveKind::send ? 2 : gpus;
        for (std::int32_t i = 0; i < members; ++i) bench.group.push_back(GpuId{i});
        const Seconds simulated = time_collective(cluster, bench, Bytes(bytes)).time;
        CHECK(LoneCollective(row_of(kind, bytes, 1, gpus), topology, true, false).time(model) / simulated == doctest::Approx(1.0).epsilon(1e-4));
      }
    }
  }
}

// Levels of a pipeline share links in the simulator where their pieces meet; the closed form has each piece at full rate.
TEST_CASE("across nodes the closed form is within 15 percent of the simulator") {
  const hw::ClusterSpec cluster = cluster_named("h100_16x8");
  const hw::Topology topology(cluster);
  const hw::CollectiveModel model(cluster.collectives);
  for (const CollectiveKind kind : {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter, CollectiveKind::all_to_all}) {
    for (const std::int64_t bytes : {65536, 1 << 22, 1 << 28}) {
      CAPTURE(hw::name_of(kind));
      CAPTURE(bytes);
      CollectiveBench bench;
      bench.kind = kind;
      for (std::int32_t i = 0; i < 16; ++i) bench.group.push_back(GpuId{i});
      const Seconds simulated = time_collective(cluster, bench, Bytes(bytes)).time;
      CHECK(LoneCollective(row_of(kind, bytes, 2, 8), topology, true, false).time(model) / simulated == doctest::Approx(1.0).epsilon(0.15));
    }
  }
}

TEST_CASE("a library's constants come back from exact times, and within the noise from noisy ones") {
  const hw::ClusterSpec truth = other_library(), start = cluster_named("h100_1x8");
  for (const double noise : {0.0, 0.03}) {
    CAPTURE(noise);
    const CollectiveCalibration fit = calibrate_collectives(start, measured(truth, rows_in_node(), noise));
    check_recovered(fit.collectives, truth.collectives, noise == 0.0 ? 0.01 : 0.03);
    for (const hw::CalibratedKind& kind : fit.collectives.calibration.kinds) CHECK(kind.median_error < (noise == 0.0 ? 0.05 : 0.2));
  }
}

TEST_CASE("a library's constants come back from a start of another machine") {
  const hw::ClusterSpec truth = other_library();
  hw::ClusterSpec start = cluster_named("h100_1x8");
  start.collectives.kernels = cluster_named("a100_16x8").collectives.kernels;
  start.collectives.kernels->nvlink = truth.collectives.kernels->nvlink;
  start.collectives.kernels->tuner = truth.collectives.kernels->tuner;                 // which are no measurements
  start.collectives.kernels->switch_loops = truth.collectives.kernels->switch_loops;
  check_recovered(calibrate_collectives(start, measured(truth, rows_in_node(), 0.01)).collectives, truth.collectives, 0.05);
}

TEST_CASE("one wild row in ten does not move a library's fit") {
  const hw::ClusterSpec truth = other_library();
  const CollectiveCalibration fit = calibrate_collectives(cluster_named("h100_1x8"), measured(truth, rows_in_node(2), 0.02, 10));
  check_recovered(fit.collectives, truth.collectives, 0.04);
}

TEST_CASE("latencies are not negative and shares no more than one, whatever the rows say") {
  hw::ClusterSpec truth = other_library();
  truth.collectives.kernels->call = Seconds(0);
  Measurements rows = measured(truth, rows_in_node(), 0.0);
  for (CollectiveMeasurement& row : rows.collectives) row.seconds = row.seconds * 0.5;   // faster than any constants in their bounds
  const CollectiveCalibration fit = calibrate_collectives(cluster_named("h100_1x8"), rows);
  for (const FittedCollectiveConstant& c : fit.constants) {
    CAPTURE(c.parameter.pointers.front());
    CHECK(c.value >= c.parameter.least);
    CHECK(c.value <= c.parameter.most);
  }
}

/// A profile by kind: t = latency(kind) + steps · step + bytes / (share(kind, members) · link).
hw::ClusterSpec by_kind(double share, double latency) {
  hw::ClusterSpec cluster = cluster_named("h100_1x8");
  cluster.node.in_switch_reduction = cluster.collectives.in_switch_reduction = false;
  cluster.collectives = {};
  for (const CollectiveKind kind : hw::all_collective_kinds) {
    cluster.collectives.base_latency[kind] = Seconds(latency);
    cluster.collectives.nvlink_efficiency[kind] = {{2, share}, {8, share / 2}};
    cluster.collectives.network_efficiency[kind] = share;
  }
  return cluster;
}

TEST_CASE("latencies and shares by kind come back, and sizes left out are predicted") {
  const hw::ClusterSpec truth = by_kind(0.4, 30e-6);
  const CollectiveCalibration fit = calibrate_collectives(by_kind(0.8, 5e-6), measured(truth, rows_in_node(), 0.02));
  CHECK(fit.left_out == LeftOut::sizes);
  for (const CollectiveKind kind : {CollectiveKind::all_reduce, CollectiveKind::all_to_all}) {
    CHECK(fit.collectives.base_latency.at(kind).value() == doctest::Approx(30e-6).epsilon(0.03));
    CHECK(fit.collectives.nvlink_efficiency.at(kind).at(2) == doctest::Approx(0.4).epsilon(0.03));
    CHECK(fit.collectives.nvlink_efficiency.at(kind).at(8) == doctest::Approx(0.2).epsilon(0.03));
  }
  CHECK(fit.collectives.base_latency.at(CollectiveKind::send).value() == doctest::Approx(5e-6));   // not measured: as it was
  REQUIRE(fit.collectives.calibration.kinds.size() == 4);
  for (const hw::CalibratedKind& kind : fit.collectives.calibration.kinds) {
    CHECK(kind.held_out);
    CHECK(kind.median_error < 0.04);
    CHECK(kind.domain.at("members") == std::pair(2.0, 8.0));
  }
}

// 90 rows of a kind, each with its own noise: 80 % ± 4 % (one standard deviation of the count) are expected inside.
TEST_CASE("four in five rows that were left out lie in the intervals that the others give") {
  std::vector<CollectiveMeasurement> rows;
  for (int repeat = 0; repeat < 5; ++repeat) {
    for (const CollectiveMeasurement& row : rows_in_node()) rows.push_back(row);
  }
  const CollectiveCalibration fit = calibrate_collectives(by_kind(0.8, 5e-6), measured(by_kind(0.4, 30e-6), rows, 0.05));
  for (const hw::CalibratedKind& kind : fit.collectives.calibration.kinds) {
    CAPTURE(kind.kind);
    CHECK(kind.count == 90);
    CHECK(kind.coverage > 0.7);
    CHECK(kind.coverage < 0.9);
  }
}

TEST_CASE("rows from which nothing can be learnt are refused") {
  const hw::ClusterSpec cluster = cluster_named("h100_1x8");
  const auto refused = [&](const Measurements& rows, const std::string& why) {
    try {
      (void)calibrate_collectives(cluster, rows);
      FAIL("not refused");
    } catch (const hw::ConfigError& error) {
      CHECK_MESSAGE(std::string(error.what()).find(why) != std::string::npos, error.what());
    }
  };
  refused({}, "no collective of 4 KiB");
  Measurements rows = measured(cluster, {row_of(CollectiveKind::all_reduce, 1 << 20, 1, 8)}, 0.0);
  rows.collectives[0].seconds = rows.collectives[0].seconds * 1000;   // ms for us
  refused(rows, "wrong unit");
  rows.collectives[0].gpus_per_node = 16;
  refused(rows, "the cluster has 1 x 8");
  rows.collectives[0].gpus_per_node = 8;
  rows.collectives[0].algorithm = hw::CollectiveAlgorithm::two_level;
  refused(rows, "two_level does not run there");
}

}  // namespace fabricast::calibrate_collectives_test
