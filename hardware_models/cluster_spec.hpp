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

/// One way of cutting a GEMM's output into tiles, one tile per SM at a time.
struct GemmTile {
  std::int64_t rows, columns;
  double efficiency;  // rate of this tile over the best one's, once its pipeline is full
};

/// How GEMMs run on the chip. gpu_cost.cpp has the equations.
struct GemmEfficiency {
  Seconds setup{};                  // of a GEMM beyond `launch`
  double sustained = 1.0;           // share of peak that a full SM reaches in a GEMM of up to `burst`
  double throttle = 0.0;            // each second beyond `burst` takes 1 + throttle: power-limited clocks
  Seconds burst{};
  double memory = 1.0;              // share of memory_bandwidth that reading the operands reaches
  std::int64_t prologue_k = 0;      // a tile costs as much as k + this many steps: filling and draining its pipeline
  std::int64_t split_k = 0;         // each part of a tile whose k is split over SMs costs this many steps more: adding the parts
  std::vector<GemmTile> tiles{{128, 128, 1.0}};
};

/// How fused attention runs. A tile is `tile_rows` queries of one head against all the keys that they see.
struct AttentionEfficiency {
  double sustained = 1.0;           // share of peak that the matrix products of a long, deep head would reach
  std::int64_t tile_rows = 1;       // queries per tile
  std::int64_t prologue_keys = 0;   // a tile costs as much as its keys + this many
  std::int64_t softmax_depth = 0;   // exponentials cost each score as much as this many elements of head_dim
  double memory = 1.0;              // share of memory_bandwidth that streaming K and V reaches
};

/// Share of memory_bandwidth that a large pass of each kind reaches.
struct PassEfficiency {
  double embedding = 1.0, rms_norm = 1.0, rope = 1.0, residual_add = 1.0, activation = 1.0, router = 1.0, permute = 1.0,
         weighted_sum = 1.0;
};

/// Everything from `launch` on is measured; each file in configs/gpus says where it comes from. The defaults are an ideal chip: a bare
/// roofline.
struct GpuSpec {
  std::string name;
  std::int64_t streaming_multiprocessors = 1;
  std::array<FlopPerSecond, 4> peak{};   // dense, by Precision; 0 where the chip has none
  BytesPerSecond memory_bandwidth{};     // specification
  Bytes memory{};                        // capacity that a program may use
  Seconds launch{};                      // what a kernel in a busy stream costs beside its work
  double contention = 0.0;               // a kernel whose arithmetic and memory time are equal takes 1 + contention of either; 0 … 0.5
  GemmEfficiency gemm;
  AttentionEfficiency attention;
  PassEfficiency pass;
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
  std::int64_t spines = 0;               // share a leaf's uplinks evenly; a flow takes one, so too many leave each thinner than a NIC
  double oversubscription = 1.0;         // leaf: bandwidth down / bandwidth up
};

/// Transfers too small to fill the library's pipeline cost more per byte: small_cost times as much at first, falling to 1 as what a
/// member sends in a phase passes `size`.
struct TransferRamp {
  double small_cost = 1.0;
  Bytes size{};
};

/// Kernels of the library run one block, hence one SM, per channel. The defaults are what NCCL logs on an HGX H100 ("24 coll channels, 16
/// nvls channels, 32 p2p channels").
struct CollectiveChannels {
  std::int64_t ring = 24, nvls = 16, point_to_point = 32;
};

/// How the communication library behaves on this hardware; measured.
struct CollectiveSpec {
  CollectiveChannels channels;
  std::map<CollectiveKind, Seconds> base_latency;                       // start-up of one call, whatever its size
  Seconds nvlink_step_latency{};                                        // software cost of each dependent step in the node
  Seconds network_step_latency{};                                       // and across nodes
  std::map<CollectiveKind, std::map<std::int64_t, double>> nvlink_efficiency;  // by members in the node; interpolated, clamped at the ends
  std::map<CollectiveKind, double> network_efficiency;                  // share of the NIC's rate that large transfers reach
  TransferRamp nvlink_ramp;
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
