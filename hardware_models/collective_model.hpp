// What a collective costs beyond its bytes: algorithm by size and placement, latencies, and the share of a link's rate that the
// library reaches. Bytes and steps come from collectives.hpp; sharing of links is the simulator's.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "hardware_models/byte_floor.hpp"
#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/collectives.hpp"
#include "hardware_models/topology.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

/// What a collective's kernel holds of each GPU that takes part, while it runs.
struct KernelFootprint {
  std::int64_t sms = 0;             // one per NCCL channel; 0 where copy engines or NICs move the bytes
  double hbm_per_byte_sent = 0.0;   // bytes of memory traffic (reads and writes) per payload byte that the GPU sends
  double hbm_per_byte_received = 0.0;
};

/// How the library's kernel signals that data has come: with every 8 bytes (LL), every 128 (LL128), or once a slice (Simple). The first
/// two start sooner and move fewer bytes a second.
enum class CollectiveProtocol : std::uint8_t { ll, ll128, simple };
[[nodiscard]] std::string_view name_of(CollectiveProtocol protocol);

struct CollectiveChoice {
  CollectiveAlgorithm algorithm;
  CollectiveProtocol protocol = CollectiveProtocol::simple;
  TokenRouting tokens = {};        // of a deduplicated all-to-all
  Bytes chunk = {};                // of nvls and nvls_tree in loops, by channel and GPU; else 0
  friend bool operator==(const CollectiveChoice&, const CollectiveChoice&) = default;
};

/// Members of a group, and of its fullest node.
struct GroupSize {
  std::int64_t members = 1, in_node = 1;
};

class CollectiveModel {
 public:
  /// Throws std::invalid_argument unless every kind has a latency and efficiencies in (0, 1].
  explicit CollectiveModel(CollectiveSpec spec);

  /// Resolves `automatic`, for a collective of `size` (S). All-to-all and send run flat. All-gather, reduce-scatter and broadcast take a
  /// ring inside a node and for odd placements, two_level across nodes; so does an all-reduce of a profile without kernels. With kernels an
  /// all-reduce and every protocol are chosen as NCCL's tuner does: whichever algorithm and protocol promises the least time by a closed
  /// form on idle links (library_kernels.hpp), among ring and nvls in a node, rail_ring, tree, nvls_tree and sharp across nodes, nvls
  /// only where the NVSwitches reduce and the node has more than two members, sharp only where the network reduces.
  /// What needs several nodes is on one node what remains of it: two_level, rail_ring and sharp are the ring, nvls_tree is nvls and
  /// hierarchical flat. A wish that does not run the kind on this placement and these switches counts as none, since a wish is for all
  /// collectives of an axis; any other is granted as it is.
  [[nodiscard]] CollectiveChoice choose(CollectiveKind kind, CollectiveAlgorithm wanted, std::span<const NodeId> node_of, Bytes size,
                                        const TokenRouting& tokens = {}) const;

  /// Paid once per call, before the first byte.
  [[nodiscard]] Seconds base_latency(CollectiveKind kind, const CollectiveChoice& choice) const;

  /// Software latency of one dependent step over a route, beside the route's own.
  [[nodiscard]] Seconds step_latency(CollectiveKind kind, const CollectiveChoice& choice, bool crosses_nodes) const;

  /// Share of the narrowest link that a transfer reaches, 0 < e <= 1, where its member sends (from a switch: receives) `sent` bytes in all
  /// in a phase. sent / efficiency rises with `sent`. group.in_node is the number of members in that member's node.
  /// By kind: between the numbers of members that were measured the share is interpolated, beyond them it is the nearest one's; small
  /// transfers over NVLink do not fill the library's pipeline and cost more per byte.
  /// With kernels: what the mode's handshakes leave of the link, or what the SMs of its channels load and store, whichever is less.
  [[nodiscard]] double efficiency(CollectiveKind kind, const CollectiveChoice& choice, bool crosses_nodes, GroupSize group,
                                  Bytes sent) const;

  /// What filling the kernels' pipeline costs a collective whose members send so many bytes each over NVLink; 0 for profiles by kind.
  [[nodiscard]] Seconds fill(CollectiveKind kind, const CollectiveChoice& choice, GroupSize group, Bytes sent) const;

  /// Bytes of S in one piece of a pipeline of levels; 0: a level waits for the whole of the one before it.
  [[nodiscard]] Bytes pipeline_chunk(const CollectiveChoice& choice, GroupSize group) const;

  /// `algorithm` as chosen, not automatic; `size` is S. kernel_footprint.cpp has the sources.
  [[nodiscard]] KernelFootprint footprint(CollectiveKind kind, CollectiveAlgorithm algorithm, Bytes size) const;

 private:
  CollectiveSpec spec_;
};

}  // namespace fabricast::hw
