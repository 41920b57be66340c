#include "hardware_models/cluster_config.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace fabricast::cluster_config_test {

using namespace fabricast;
using namespace fabricast::hw;

namespace {

const std::string gpu = R"({"name": "g", "streaming_multiprocessors": 132, "peak": {"bf16": "989.4 TFLOP/s"},
  "memory_bandwidth": "3.35 TB/s",
  "memory": "80 GiB", "launch": "1 us", "contention": 0.1,
  "gemm": {"setup": "1 us", "sustained": 0.8, "throttle": 0, "burst": "1 ms", "memory": 0.8, "prologue_k": 10, "split_k": 0,
           "tiles": [{"rows": 128, "columns": 128, "efficiency": 1}]},
  "attention": {"sustained": 0.7, "tile_rows": 128, "prologue_keys": 0, "softmax_depth": 0, "memory": 0.8},
  "pass": {"embedding": 0.8, "rms_norm": 0.8, "rope": 0.8, "residual_add": 0.8, "activation": 0.8, "router": 0.8, "permute": 0.8,
           "weighted_sum": 0.8}})";
const std::string latencies = R"({"all_reduce": "1 us", "all_gather": "1 us", "reduce_scatter": "1 us", "broadcast": "1 us",
  "all_to_all": "1 us", "send": "1 us"})";
const std::string shares = R"({"all_reduce": 0.9, "all_gather": 0.9, "reduce_scatter": 0.9, "broadcast": 0.9,
  "all_to_all": 0.9, "send": 0.9})";
const std::string by_members = R"({"all_reduce": {"8": 0.9}, "all_gather": {"8": 0.9}, "reduce_scatter": {"8": 0.9}, 
  "broadcast": {"8": 0.9},  "all_to_all": {"8": 0.9}, "send": {"2": 0.9}})";
const std::string collectives = R"({"base_latency": )" + latencies + R"(, "nvlink_step_latency": "1 us", "network_step_latency": "2 us",
  "nvlink_efficiency": )" + by_members + R"(, "network_efficiency": )" + shares + R"(, "nvlink_ramp": {"small_cost": 2, "size": "1 MiB"}})";

const std::string node = R"({"gpus": 8, "nvlink_bandwidth": "450 GB/s", "nvlink_latency": "0.6 us", "pcie_bandwidth": "63 GB/s"})";
const std::string fabric = R"({"kind": "fat_tree", "nic_bandwidth": "400 Gbit/s", "nic_latency": "1.74 us", "switch_latency": "0.25 us",
  "nodes_per_leaf": 4, "spines": 2, "oversubscription": 2})";

/// A valid cluster with `from` replaced by `to`.
std::string cluster_text(std::string_view from = {}, std::string_view to = {}) {
  std::string text = R"({"name": "c", "nodes": 16, "gpu": )" + gpu + ",\n\"node\": " + node + ",\n\"fabric\": " + fabric +
                     ",\n\"collectives\": " + collectives + ",\n\"memory_reserve\": \"6 GiB\"}";
  if (const auto at = text.find(from); !from.empty()) {
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string error_of(std::string_view from, std::string_view to) {
  try {
    (void)read_cluster(parse_json_text(cluster_text(from, to), "c.json"));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a cluster is read in full") {
  const ClusterSpec cluster = read_cluster(parse_json_text(cluster_text(), "c.json"));
  CHECK(cluster.name == "c");
  CHECK(cluster.nodes == 16);
  CHECK(cluster.gpus() == 128);
  CHECK(cluster.gpu.memory == Bytes(std::int64_t{80} << 30));
  CHECK(cluster.node.nvlink_bandwidth == BytesPerSecond(450e9));
  CHECK(cluster.node.nvlink_latency == Seconds(0.6e-6));
  CHECK(cluster.node.pcie_bandwidth == BytesPerSecond(63e9));
  CHECK(cluster.fabric.kind == FabricKind::fat_tree);
  CHECK(cluster.fabric.nic_bandwidth == BytesPerSecond(50e9));
  CHECK(cluster.fabric.nic_latency == Seconds(1.74e-6));
  CHECK(cluster.fabric.switch_latency == Seconds(0.25e-6));
  CHECK(cluster.fabric.nodes_per_leaf == 4);
  CHECK(cluster.fabric.spines == 2);
  CHECK(cluster.fabric.oversubscription == 2.0);
  CHECK(cluster.memory_reserve == Bytes(std::int64_t{6} << 30));
}

TEST_CASE("a fabric is not oversubscribed unless it says so") {
  const std::string text = cluster_text(", \"oversubscription\": 2", "");
  CHECK(read_cluster(parse_json_text(text, "c.json")).fabric.oversubscription == 1.0);
}

TEST_CASE("what is missing, unknown or out of range in a cluster is named with its line") {
  CHECK(contains(error_of("\"nodes\": 16,", ""), "c.json:1: the key \"nodes\" is missing"));
  CHECK(contains(error_of("\"nodes\": 16", "\"nodes\": 0"), "c.json:1: /nodes: 0: is out of range"));
  CHECK(contains(error_of("\"pcie_bandwidth\"", "\"pci_bandwidth\""), ": /node: the key \"pcie_bandwidth\" is missing; was it meant by"));
  CHECK(contains(error_of("fat_tree", "fat-tree"), "did you mean \"fat_tree\"?"));
  CHECK(contains(error_of("\"oversubscription\": 2", "\"oversubscription\": 0.5"), "must be a number from 1 to"));
  CHECK(contains(error_of("\"spines\": 2", "\"spines\": 2, \"spine\": 3"),
                 "/fabric/spine: unknown key \"spine\"; did you mean \"spines\"?"));
}

// most GPUs of a cluster: 2^20
TEST_CASE("a cluster too large to simulate is an error") {
  CHECK(error_of("\"gpus\": 8", "\"gpus\": 1024") == "no error");
  CHECK(contains(error_of("\"nodes\": 16", "\"nodes\": 131072"), "no error"));
  CHECK(contains(error_of("\"nodes\": 16, \"gpu\"", "\"nodes\": 131073, \"gpu\""), "out of range"));
  const std::string text = cluster_text("\"nodes\": 16", "\"nodes\": 2000");
  std::string larger = text;
  larger.replace(larger.find("\"gpus\": 8"), 9, "\"gpus\": 1024");
  CHECK_THROWS_WITH_AS((void)read_cluster(parse_json_text(larger, "c.json")),
                       "c.json:1: /nodes: 2000: with 1024 GPUs each are 2048000 GPUs; at most 1048576 can be simulated", ConfigError);
}

TEST_CASE("a reserve that leaves no memory is an error") {
  CHECK(contains(error_of("6 GiB", "80 GiB"), "/memory_reserve: \"80 GiB\": leaves nothing of the GPU's memory"));
  CHECK(error_of("6 GiB", "0 B") == "no error");
}

}  // namespace fabricast::cluster_config_test
