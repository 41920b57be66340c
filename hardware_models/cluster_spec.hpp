// What the hardware is, as plain data read from configs/. Knows no behaviour: topology.hpp and the cost models give it that.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/kernels.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

/// An efficiency that grows with size: best · size / (size + half_size).
struct Saturation {
  double best = 1.0;         // share of the peak at infinite size
  double half_size = 0.0;    // size at which half of `best` is reached (unit: as the user of the curve says)
};

/// One way of cutting a GEMM's output into tiles, one tile per SM at a time.
struct GemmTile {
  std::int64_t rows, columns;
  double efficiency;  // share of the sustained rate that this tile reaches once its pipeline is full
};

struct GpuSpec {
  std::string name;
  std::int64_t streaming_multiprocessors = 0;
  std::array<FlopPerSecond, 4> peak{};   // dense, by Precision; 0 where the chip has none
  BytesPerSecond memory_bandwidth{};     // specification
  Bytes memory{};                        // capacity that a program may use
  Seconds launch{};                      // from one kernel's end to the next one's start in a busy stream
  // Measured efficiencies; each file in configs/gpus says where they come from.
  double gemm_sustained = 1.0;           // rate of a large GEMM over peak (power and issue limits)
  std::vector<GemmTile> gemm_tiles;
  std::int64_t gemm_prologue_k = 0;      // a tile costs as much as k + this many steps: filling and draining the pipeline
  Seconds gemm_fixed{};                  // set-up of one GEMM kernel beyond `launch`
  Saturation attention;                  // share of peak by kv length (tokens)
  Saturation memory_pass;                // share of memory_bandwidth by traffic (bytes)
};

struct NodeSpec {
  std::int64_t gpus = 0;
  BytesPerSecond nvlink_bandwidth{};     // per GPU and direction into the NVSwitch plane
  Seconds nvlink_latency{};              // one GPU to another through the switch
  BytesPerSecond pcie_bandwidth{};       // GPU to its NIC, per direction
};

enum class FabricKind : std::uint8_t { rail_optimized, fat_tree };

struct FabricSpec {
  FabricKind kind = FabricKind::rail_optimized;
  BytesPerSecond nic_bandwidth{};        // per NIC (one per GPU) and direction
  Seconds nic_latency{};                 // NIC to NIC through one leaf
  Seconds switch_latency{};              // each further switch hop
  std::int64_t nodes_per_leaf = 0;       // rail_optimized: nodes of a pod (a leaf per rail serves them); fat_tree: nodes under one leaf
  std::int64_t spines = 0;
  double oversubscription = 1.0;         // leaf: bandwidth down / bandwidth up
};

/// How the communication library behaves on this hardware; measured.
struct CollectiveSpec {
  std::map<CollectiveKind, Seconds> base_latency;                       // start-up of one call, whatever its size
  Seconds nvlink_step_latency{};                                        // software cost of each dependent step in the node
  Seconds network_step_latency{};                                       // and across nodes
  std::map<CollectiveKind, std::map<std::int64_t, double>> nvlink_efficiency;  // by members in the node; interpolated, clamped at the ends
  std::map<CollectiveKind, double> network_efficiency;                  // share of the NIC's rate that large transfers reach
};

struct ClusterSpec {
  std::string name;
  std::int64_t nodes = 0;
  GpuSpec gpu;
  NodeSpec node;
  FabricSpec fabric;
  CollectiveSpec collectives;
  Bytes memory_reserve{};                // per GPU: context, library buffers, fragmentation

  [[nodiscard]] std::int64_t gpus() const { return nodes * node.gpus; }
};

}  // namespace fabricast::hw
