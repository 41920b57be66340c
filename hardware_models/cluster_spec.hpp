// What the hardware is, as plain data read from configs/. Knows no behaviour: topology.hpp and the cost models give it that.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware_models/calibration_record.hpp"
#include "hardware_models/collectives.hpp"
#include "hardware_models/kernels.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

/// One way of cutting a GEMM's output into tiles, one tile per SM at a time.
struct GemmTile {
  std::int64_t rows, columns;
  double efficiency;  // rate of this tile over the best one's, once its pipeline is full
};

/// How GEMMs of many experts run where it differs from one GEMM's: their kernels stay on the SMs and go from tile to tile.
struct GroupedGemmEfficiency {
  double memory = 1.0;              // share of memory_bandwidth that reading the experts' weights reaches
  BytesPerSecond tile_load{};       // at which one SM takes in the operands of its tile, most of them from the L2 cache
  std::vector<GemmTile> tiles;      // an expert may have few rows, so the shortest are shorter than a GEMM's
};

/// How GEMMs run on the chip. gpu_cost.cpp has the equations.
struct GemmEfficiency {
  Seconds setup{};                  // of a GEMM beyond `launch`
  double sustained = 1.0;           // share of peak that a full SM reaches in a GEMM of up to `burst`
  std::optional<double> sustained_fp8;  // the same for fp8 where it was measured; else sustained
  double throttle = 0.0;            // each second beyond `burst` takes 1 + throttle: power-limited clocks
  Seconds burst{};
  double memory = 1.0;              // share of memory_bandwidth that reading the operands reaches
  std::int64_t prologue_k = 0;      // a tile costs as much as k + this many steps: filling and draining its pipeline
  std::int64_t split_k = 0;         // each part of a tile whose k is split over SMs costs this many steps more: adding the parts
  std::vector<GemmTile> tiles{{128, 128, 1.0}};
  std::optional<GroupedGemmEfficiency> grouped = std::nullopt;   // absent: grouped GEMMs run as GEMMs do
};

/// How fused attention runs where each sequence has one query (decoding). Blocks of an SM work on up to 16 queries that share a key head; where
/// a key head has one query, or more than `most_shared`, on a query each. attention_cost.cpp has the equation.
struct DecodeEfficiency {
  Seconds shared_block{}, single_block{};   // an SM on a block of either kind, however few its keys
  std::int64_t most_shared = 16;
  BytesPerSecond block_rate{};              // at which one block streams its keys, of which it takes 256 at the least
  Seconds fill{};                           // until a stream from memory flows, and after it has ended
  BytesPerSecond shared_reads{};            // of all SMs together, when single blocks read the same keys from the cache
};

/// How fused attention runs. A tile is `tile_rows` queries of one head against all the keys that they see.
struct AttentionEfficiency {
  double sustained = 1.0;           // share of peak that the matrix products of a long, deep head would reach
  std::int64_t tile_rows = 1;       // queries per tile
  std::int64_t prologue_keys = 0;   // a tile costs as much as its keys + this many
  std::int64_t softmax_depth = 0;   // exponentials cost each score as much as this many elements of head_dim
  double memory = 1.0;              // share of memory_bandwidth that streaming K and V reaches
  std::optional<DecodeEfficiency> decode = std::nullopt;   // absent: as tiles of longer queries, whose keys are split over idle SMs
};

/// Kernels that stream their rows through the chip once.
enum class PassKind : std::uint8_t { embedding, rms_norm, rope, residual_add, activation, router, permute, weighted_sum };
inline constexpr std::array<PassKind, 8> all_passes{PassKind::embedding,  PassKind::rms_norm, PassKind::rope,    PassKind::residual_add,
                                                    PassKind::activation, PassKind::router,   PassKind::permute, PassKind::weighted_sum};
[[nodiscard]] std::string_view name_of(PassKind pass);   // as configurations write it

template <class Value>
struct ByPass {
  Value embedding{}, rms_norm{}, rope{}, residual_add{}, activation{}, router{}, permute{}, weighted_sum{};

  [[nodiscard]] Value& operator[](PassKind pass) { return this->*members[static_cast<std::size_t>(pass)]; }
  [[nodiscard]] const Value& operator[](PassKind pass) const { return this->*members[static_cast<std::size_t>(pass)]; }

 private:
  static constexpr std::array<Value ByPass::*, all_passes.size()> members{
      &ByPass::embedding,  &ByPass::rms_norm, &ByPass::rope,    &ByPass::residual_add,
      &ByPass::activation, &ByPass::router,   &ByPass::permute, &ByPass::weighted_sum};
};

/// What the L2 cache does for passes: of as many bytes as it holds, those that the kernels before left there come at the cache's rate.
struct PassCache {
  Bytes size{};                          // that a step's kernels see; less than the chip's, whose halves may hold copies
  ByPass<std::optional<double>> share;   // of memory_bandwidth that a pass reaches on bytes in the cache, at most 1; absent: as from memory
};

/// Share of memory_bandwidth that a large pass of each kind reaches.
struct PassEfficiency : ByPass<double> {
  std::optional<PassCache> cache = std::nullopt;
  ByPass<std::optional<BytesPerSecond>> row{};   // at which the one block that works on a row streams it; absent: no row is too wide

  PassEfficiency() { for (const PassKind pass : all_passes) (*this)[pass] = 1.0; }
};

/// What a kernel loses to communication kernels that run beside it, of what those hold and draw. Measured; unless it was, all of it.
struct Interference {
  double sms = 1.0;                      // less where a block of the kernel fits beside theirs on an SM
  double memory = 1.0;                   // more where two streams disturb each other
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
  Interference interference;
  double slowdown = 1.0;                 // of a faulty chip: every kernel takes so many times as long
  CalibrationRecord calibration;         // of profiles that `fabricast calibrate` wrote
};

struct NodeSpec {
  std::int64_t gpus = 0;
  std::optional<std::int64_t> nics;      // one per GPU unless given; a multiple or a divisor of gpus
  BytesPerSecond nvlink_bandwidth{};     // per GPU and direction into the NVSwitch plane
  Seconds nvlink_latency{};              // one GPU to another through the switch
  BytesPerSecond pcie_bandwidth{};       // GPU to its NICs, per direction
  bool in_switch_reduction = false;      // NVLink SHARP: the NVSwitches add and multicast
};

enum class FabricKind : std::uint8_t { rail_optimized, fat_tree };
[[nodiscard]] std::string_view name_of(FabricKind kind);

/// How a transfer between leaves finds its spine. by_destination: D-mod-k, which spreads the destinations of a leaf evenly, as InfiniBand's
/// subnet manager does. ecmp: a seeded hash of source and destination, so that transfers collide on some uplinks and leave others idle.
/// adaptive: each transfer is spread over all spines at once, so that the uplinks of a leaf are one fluid link.
enum class SpineChoice : std::uint8_t { by_destination, ecmp, adaptive };
[[nodiscard]] std::string_view name_of(SpineChoice choice);

struct FabricSpec {
  FabricKind kind = FabricKind::rail_optimized;
  BytesPerSecond nic_bandwidth{};        // per NIC and direction
  Seconds nic_latency{};                 // NIC to NIC through one leaf
  Seconds switch_latency{};              // each further switch hop
  std::int64_t nodes_per_leaf = 0;       // rail_optimized: nodes of a pod (a leaf per rail serves them); fat_tree: nodes under one leaf
  std::int64_t spines = 0;               // share a leaf's uplinks evenly; a flow takes one, so too many leave each thinner than a NIC
  double oversubscription = 1.0;         // leaf: bandwidth down / bandwidth up
  SpineChoice spine_choice = SpineChoice::by_destination;
  std::uint64_t ecmp_seed = 0;
  bool in_network_reduction = false;     // SHARP: the switches add and multicast
};

/// Nodes first … last where they differ from the others; what is not given is as elsewhere.
struct OtherNodes {
  std::int64_t first = 0, last = 0;
  std::optional<GpuSpec> gpu;
  std::optional<std::int64_t> nics;
  std::optional<BytesPerSecond> nic_bandwidth, nvlink_bandwidth, pcie_bandwidth;
};

/// What is broken or worn. `bandwidth` is the share that is left, in both directions; 0: failed.
struct Faults {
  struct SlowGpu { std::int64_t node, gpu; double slowdown; };          // gpu: slot in the node
  struct Part { std::int64_t node, part; double bandwidth; };           // part: NIC of the node, or slot of the GPU whose NVLink it is
  struct Uplink { std::int64_t leaf, spine; double bandwidth; };        // leaf: pod · rails + rail, or the leaf of a fat tree
  std::vector<SlowGpu> slow_gpus;
  std::vector<Part> nics, nvlinks;
  std::vector<Uplink> uplinks;
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

/// One way in which the library's kernels move bytes. A transfer of b bytes by one member takes
/// call + steps · step + fill · b / (b + fill_size) + b / (share · link).
struct TransferMode {
  Seconds call{};                            // beyond LibraryKernels::call
  Seconds nvlink_step{}, network_step{};     // software cost of each dependent step
  double nvlink_share = 1.0, network_share = 1.0;
  Seconds fill{};                            // of the pipeline, once b is large
  Bytes fill_size{1};
};

/// The kernel of a deduplicated dispatch or combine (DeepEP): its SMs copy rows, a row of b bytes in row + b / nvlink_per_sm. In a group on
/// several nodes that takes `forwarding` times as long, since some of the SMs feed the NIC and others pass on what it brings.
struct TokenKernel {
  TransferMode mode;                         // what the links allow; fill: on one node
  Seconds row{};
  BytesPerSecond nvlink_per_sm{};
  double forwarding = 1.0;
  std::int64_t piece = 0;                    // tokens of a rank that go from the NICs to NVLink, or back, at once; 0: CollectiveSpec::pipeline_chunk
};

struct TokenKernels {
  std::int64_t sms = 20;                     // held by either; DeepEP's default
  TokenKernel dispatch, combine;
  TransferMode low_latency;
};

/// What NCCL's tuner takes a protocol, or the NVSwitches, to need among the GPUs of a node: call + steps · step + bytes / rate, of the steps and
/// bytes of a ring. It decides by these constants, not by what its kernels reach.
struct TunerEstimate {
  Seconds call{}, step{};
  BytesPerSecond rate{};
};

struct Tuner {
  TunerEstimate ll, ll128, simple;
  std::optional<TunerEstimate> nvls;         // absent: never asked for
};

/// NVSwitches that reduce work in loops: every channel takes a chunk for each of the node's GPUs. A loop of c-byte chunks has
/// channels.nvls · GPUs · c of S, and c grows with S (library_kernels.hpp).
struct SwitchLoops {
  Bytes in_node{}, across{};                 // largest chunk of nvls, of nvls_tree
  Seconds loop{};                            // of each loop of nvls, beside its bytes
  double stages = 0, stages_across = 0;      // loops that the kernel's own pipeline holds back
};

/// How NCCL decides and what its kernels reach: a few constants for all kinds and group sizes, where the maps of CollectiveSpec give one
/// per kind. collective_model.cpp has the equations.
struct LibraryKernels {
  BytesPerSecond nvlink{}, network{};        // rates that the shares refer to: the links on which they were measured
  Seconds call{};                            // start-up of one call
  BytesPerSecond channel_rate{};             // loads and stores of one channel's SM; 0: no limit
  TransferMode ll, ll128, simple;            // protocols of rings and trees
  TransferMode point_to_point;               // send, receive and all-to-all
  std::optional<TransferMode> point_to_point_ll;  // of 16 KiB at most for each peer, in one node; nvlink_share: of a peer. Absent: no such protocol
  TransferMode nvls;                         // in one node
  TransferMode nvls_tree;                    // in the node and across nodes at once
  std::optional<SwitchLoops> switch_loops;   // of the last two, in place of their fill and of pipeline_chunk
  std::optional<Tuner> tuner;                // absent: decides by what the kernels reach, as it does across nodes
  Seconds message{};                         // of a GPU's NICs and of what drives them, for each chunk of nvls_tree: no more than a chunk in so long
  std::optional<TokenKernels> tokens;        // absent: a deduplicated exchange runs as fast as point_to_point
};

/// How the communication library behaves on this hardware; measured.
struct CollectiveSpec {
  CollectiveChannels channels;
  bool in_switch_reduction = false, in_network_reduction = false;       // copied from the node and the fabric
  std::optional<LibraryKernels> kernels;                                // replaces what follows, up to and including nvlink_ramp
  Bytes pipeline_chunk{};                                               // S in pieces of so much where levels are pipelined; 0: not at all
  std::map<CollectiveKind, Seconds> base_latency;                       // start-up of one call, whatever its size
  Seconds nvlink_step_latency{};                                        // software cost of each dependent step in the node
  Seconds network_step_latency{};                                       // and across nodes
  std::map<CollectiveKind, std::map<std::int64_t, double>> nvlink_efficiency;  // by members in the node; interpolated, clamped at the ends
  std::map<CollectiveKind, double> network_efficiency;                  // share of the NIC's rate that large transfers reach
  TransferRamp nvlink_ramp;
  CalibrationRecord calibration;
};

struct ClusterSpec {
  std::string name;
  std::int64_t nodes = 0;
  GpuSpec gpu;
  NodeSpec node;
  FabricSpec fabric;
  CollectiveSpec collectives;
  std::vector<OtherNodes> other_nodes;
  Faults faults;
  Bytes memory_reserve{};                // per GPU: context, library buffers, fragmentation

  [[nodiscard]] std::int64_t gpus() const { return nodes * node.gpus; }
};

}  // namespace fabricast::hw
