// A valid experiment in one text, written out so that tests can break it one piece at a time.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace fabricast::tests {

inline const std::string small_model = R"({
  "name": "m", "layers": 4, "d_model": 64, "n_heads": 8, "n_kv_heads": 2, "d_head": 8, "vocab_size": 128,
  "max_sequence_length": 256, "d_ff": 256, "mlp": "swiglu", "precision": "bf16",
  "moe": { "experts_per_layer": 8, "top_k": 2, "d_ff": 128 }
})";

inline const std::string small_gpu = R"({
  "name": "g", "streaming_multiprocessors": 132, "peak": { "bf16": "989.4 TFLOP/s" }, "memory_bandwidth": "3.35 TB/s",
  "memory": "80 GiB", "launch": "1 us", "contention": 0.1,
  "gemm": { "setup": "1 us", "sustained": 0.8, "throttle": 0, "burst": "1 ms", "memory": 0.8, "prologue_k": 10, "split_k": 0,
            "tiles": [{ "rows": 128, "columns": 128, "efficiency": 1 }] },
  "attention": { "sustained": 0.7, "tile_rows": 128, "prologue_keys": 0, "softmax_depth": 0, "memory": 0.8 },
  "pass": { "embedding": 0.8, "rms_norm": 0.8, "rope": 0.8, "residual_add": 0.8, "activation": 0.8, "router": 0.8, "permute": 0.8,
            "weighted_sum": 0.8 }
})";

inline const std::string small_collectives = R"({
  "base_latency": { "all_reduce": "1 us", "all_gather": "1 us", "reduce_scatter": "1 us", "broadcast": "1 us", "all_to_all": "1 us",
                    "send": "1 us" },
  "nvlink_step_latency": "1 us", "network_step_latency": "2 us",
  "nvlink_efficiency": { "all_reduce": { "8": 0.9 }, "all_gather": { "8": 0.9 }, "reduce_scatter": { "8": 0.9 },
                         "broadcast": { "8": 0.9 }, "all_to_all": { "8": 0.9 }, "send": { "2": 0.9 } },
  "network_efficiency": { "all_reduce": 0.9, "all_gather": 0.9, "reduce_scatter": 0.9, "broadcast": 0.9, "all_to_all": 0.9, "send": 0.9 },
  "nvlink_ramp": { "small_cost": 2, "size": "1 MiB" }
})";

inline const std::string small_cluster_head = R"({
  "name": "c", "nodes": 2,
  "node": { "gpus": 4, "nvlink_bandwidth": "450 GB/s", "nvlink_latency": "0.6 us", "pcie_bandwidth": "63 GB/s" },
  "fabric": { "kind": "rail_optimized", "nic_bandwidth": "400 Gbit/s", "nic_latency": "1.74 us", "switch_latency": "0.25 us",
              "nodes_per_leaf": 2, "spines": 1 },
  "memory_reserve": "6 GiB",)";

inline std::string small_cluster() {
  return small_cluster_head + "\n\"gpu\": " + small_gpu + ",\n\"collectives\": " + small_collectives + "}";
}

/// `from` replaced by `to`; from must occur.
inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

inline std::string small_experiment(const std::string& model, const std::string& cluster) {
  return "{\n\"name\": \"small\",\n\"model\": " + model + ",\n\"cluster\": " + cluster + R"(,
"workload": { "phase": "forward", "sequences": 16, "sequence_length": 128, "micro_batches": 2 },
"strategy": { "tensor": 2, "expert": 4 },
"routing": { "distribution": "uniform", "seed": 1 }
})";
}

inline std::string small_experiment() { return small_experiment(small_model, small_cluster()); }

inline bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace fabricast::tests
