// One collective alone, against closed forms on ideal links and published rates on the shipped profiles.
#include "validation/collective_bench.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "hardware_models/cluster_config.hpp"
#include "tests/sim/replays.hpp"
#include "validation/experiment_document.hpp"

namespace fabricast::collective_bench_test {

using namespace fabricast;
using hw::CollectiveAlgorithm;
using hw::CollectiveKind;
using tests::ideal_cluster;
using tests::nic;
using tests::nvlink;
using validation::CollectiveBench;
using validation::CollectiveTiming;
using validation::time_collective;

namespace {

constexpr Bytes size(64'000'000);

CollectiveBench bench(CollectiveKind kind, const hw::ClusterSpec& cluster, CollectiveAlgorithm algorithm = CollectiveAlgorithm::automatic) {
  CollectiveBench result;
  result.kind = kind;
  result.algorithm = algorithm;
  for (std::int64_t gpu = 0; gpu < cluster.gpus(); ++gpu) result.group.push_back(GpuId{static_cast<std::int32_t>(gpu)});
  return result;
}

/// Tokens of 1 KiB with `top_k` of as many experts as members.
CollectiveBench tokens(const hw::ClusterSpec& cluster, CollectiveAlgorithm algorithm, std::int64_t top_k, bool combine = false) {
  CollectiveBench result = bench(CollectiveKind::all_to_all, cluster, algorithm);
  result.top_k = top_k;
  result.row = Bytes(1024);
  result.combine = combine;
  return result;
}

hw::ClusterSpec shipped(const std::string& name, std::int64_t nodes) {
  const std::filesystem::path file = std::filesystem::path(FABRICAST_SOURCE_DIR) / "configs/clusters" / (name + ".json");
  hw::ClusterSpec cluster = hw::read_cluster(validation::load_cluster_document(file.string()));
  cluster.nodes = nodes;
  return cluster;
}

doctest::Approx about(double value, double relative = 1e-6) { return doctest::Approx(value).epsilon(relative).scale(0.0); }

}  // namespace

// ring: 2(n-1)/n · S / NVLink, so busbw is NVLink's rate; the floor is the same
TEST_CASE("a ring on ideal links has the link's rate as busbw and runs at its floor") {
  const auto cluster = ideal_cluster(1, 4);
  const CollectiveTiming timing = time_collective(cluster, bench(CollectiveKind::all_reduce, cluster), size);
  CHECK(timing.choice.algorithm == CollectiveAlgorithm::ring);
  CHECK(timing.time.value() == about(1.5 * 64e6 / nvlink));
  CHECK(timing.bus_bandwidth.value() == about(nvlink));
  CHECK(timing.algorithm_bandwidth.value() == about(nvlink / 1.5));
  CHECK(timing.ratio_to_floor == about(1.0));
}

// 2(n-1)/n · S against S
TEST_CASE("where the switches could add, a ring of four takes one and a half times the floor") {
  auto cluster = ideal_cluster(1, 4);
  cluster.node.in_switch_reduction = true;
  CHECK(time_collective(cluster, bench(CollectiveKind::all_reduce, cluster, CollectiveAlgorithm::ring), size).ratio_to_floor == about(1.5));
}

// half of every send buffer leaves the node
TEST_CASE("an all-to-all of two nodes runs at the NICs' floor") {
  const auto cluster = ideal_cluster(2, 4);
  const CollectiveTiming timing = time_collective(cluster, bench(CollectiveKind::all_to_all, cluster), size);
  CHECK(timing.floor.value() == about(0.5 * 64e6 / nic));
  CHECK(timing.time.value() == about(0.5 * 64e6 / nic));
}

// Shares fall as 1, 1/2, 1/3, 1/4: the first gets 12/25 of three others' buffers over its link.
TEST_CASE("a skewed all-to-all takes as long as its most popular member's link") {
  const auto cluster = ideal_cluster(1, 4);
  CollectiveBench skewed = bench(CollectiveKind::all_to_all, cluster);
  skewed.skew = 1.0;
  CHECK(time_collective(cluster, skewed, size).time.value() == about(3 * 12 / 25.0 * 64e6 / nvlink));
}

TEST_CASE("a send goes from the first member to the second, over the network where they sit on unlike slots of two nodes") {
  const auto cluster = ideal_cluster(2, 4);
  CollectiveBench send = bench(CollectiveKind::send, cluster);
  send.group = {GpuId{0}, GpuId{1}};
  CHECK(time_collective(cluster, send, size).time.value() == about(64e6 / nvlink));
  send.group = {GpuId{0}, GpuId{5}};
  CHECK(time_collective(cluster, send, size).time.value() == about(64e6 / nic));
}

// Per owner T · (1 - C(12,4)/C(16,4)) tokens cross to each of 3 nodes; an NVLink of 40 TB/s adds 0.2 % for passing them on.
TEST_CASE("a deduplicated dispatch runs at the floor of distinct tokens, a third of all rows' time") {
  auto cluster = ideal_cluster(4, 4);
  cluster.node.nvlink_bandwidth = BytesPerSecond(nvlink * 100);
  const double rows_of = 65536, distinct = rows_of / 4 * (1 - 495 / 1820.0);
  const Bytes whole(static_cast<std::int64_t>(rows_of) * 1024);
  const CollectiveTiming merged = time_collective(cluster, tokens(cluster, CollectiveAlgorithm::deduplicated, 4), whole);
  CHECK(merged.time.value() == about(3 * distinct * 1024 / nic, 3e-3));
  CHECK(merged.ratio_to_floor == about(1.0, 3e-3));
  const CollectiveTiming all = time_collective(cluster, tokens(cluster, CollectiveAlgorithm::flat, 4), whole);
  CHECK(all.time.value() == about(12 / 16.0 * rows_of * 1024 / nic, 3e-3));
  const CollectiveTiming back = time_collective(cluster, tokens(cluster, CollectiveAlgorithm::deduplicated, 4, true), whole);
  CHECK(back.time.value() == about(merged.time.value(), 3e-3));
}

// Half of the tokens have experts on a node at all: T/2 · (1 - C(4,4)/C(8,4)) cross to each of 3.
TEST_CASE("a dispatch whose tokens are limited to two nodes of four crosses with those that may go there") {
  auto cluster = ideal_cluster(4, 4);
  cluster.node.nvlink_bandwidth = BytesPerSecond(nvlink * 100);
  const double rows_of = 65536, distinct = rows_of / 4 / 2 * (1 - 1 / 70.0);
  CollectiveBench limited = tokens(cluster, CollectiveAlgorithm::deduplicated, 4);
  limited.reach = 0.5;
  const CollectiveTiming timing = time_collective(cluster, limited, Bytes(static_cast<std::int64_t>(rows_of) * 1024));
  CHECK(timing.time.value() == about(3 * distinct * 1024 / nic, 3e-3));
  CHECK(timing.ratio_to_floor == about(1.0, 3e-3));
}

TEST_CASE("the low-latency form sends every row straight to its destination") {
  const auto cluster = ideal_cluster(2, 4);
  const Bytes whole(std::int64_t{1} << 26);
  const CollectiveTiming direct = time_collective(cluster, tokens(cluster, CollectiveAlgorithm::low_latency, 4), whole);
  CHECK(direct.time == time_collective(cluster, tokens(cluster, CollectiveAlgorithm::flat, 4), whole).time);
  CHECK(direct.footprint.sms == 0);
}

// github.com/NVIDIA/nccl-tests, issues 212, 290 and 309: busbw 480 GB/s with NVLS on 8 H100, 370 without; 469 GB/s over 2 nodes.
TEST_CASE("the H100 profile reaches published rates of large all-reduces, in the node and across two") {
  const auto busbw = [](std::int64_t nodes, CollectiveAlgorithm algorithm) {
    const auto cluster = shipped("h100_16x8", nodes);
    const CollectiveTiming large = time_collective(cluster, bench(CollectiveKind::all_reduce, cluster, algorithm), Bytes(std::int64_t{8} << 30));
    return large.bus_bandwidth.value() / 1e9;
  };
  CHECK(busbw(1, CollectiveAlgorithm::automatic) == about(480, 0.05));
  CHECK(busbw(1, CollectiveAlgorithm::ring) == about(370, 0.1));
  CHECK(busbw(2, CollectiveAlgorithm::automatic) == about(469, 0.05));
}

TEST_CASE("no size, kind or algorithm beats its floor on the shipped clusters, and larger sizes take longer") {
  const auto cluster = shipped("h100_16x8", 2);
  for (const CollectiveKind kind : tests::every_kind) {
    CollectiveBench whole = bench(kind, cluster);
    if (kind == CollectiveKind::send) whole.group.resize(2);
    Seconds before{};
    for (std::int64_t bytes = 1024; bytes <= std::int64_t{1} << 32; bytes *= 16) {
      const CollectiveTiming timing = time_collective(cluster, whole, Bytes(bytes));
      CHECK(timing.ratio_to_floor >= 1.0);
      CHECK(timing.time > before);
      before = timing.time;
    }
  }
}

TEST_CASE("the JSON has a row per size with nccl-tests' rates and the floor") {
  const auto cluster = ideal_cluster(1, 4);
  const CollectiveBench ring = bench(CollectiveKind::all_reduce, cluster);
  const std::vector<CollectiveTiming> timings{time_collective(cluster, ring, Bytes(1024)), time_collective(cluster, ring, size)};
  const auto document = nlohmann::json::parse(validation::to_json(cluster, ring, timings));
  CHECK(document.at("schema") == "fabricast.collective_bench/1");
  CHECK(document.at("members") == 4);
  CHECK(document.at("nodes") == 1);
  REQUIRE(document.at("rows").size() == 2);
  const auto& last = document.at("rows")[1];
  CHECK(last.at("bytes") == 64'000'000);
  CHECK(last.at("bus_bytes_per_second").get<double>() == about(nvlink));
  CHECK(last.at("algorithm") == "ring");
  CHECK(last.at("ratio_to_floor").get<double>() == about(1.0));
}

// 1,000 rows of 1 KiB, three choices a token: 333 tokens; 2 rows are less than a token
TEST_CASE("an all-to-all of tokens takes whole tokens, one at least") {
  const hw::ClusterSpec cluster = ideal_cluster(1, 4);
  CHECK(time_collective(cluster, tokens(cluster, CollectiveAlgorithm::flat, 3), Bytes(1000 * 1024)).size == Bytes(999 * 1024));
  CHECK(time_collective(cluster, tokens(cluster, CollectiveAlgorithm::flat, 3), Bytes(2 * 1024)).size == Bytes(3 * 1024));
}

}  // namespace fabricast::collective_bench_test
