// What a collective costs beyond its bytes: algorithm by size and placement, latencies, and the share of a link's rate that the
// library reaches. Bytes and steps come from collectives.hpp; sharing of links is the simulator's.
#pragma once

#include <cstdint>
#include <span>

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

class CollectiveModel {
 public:
  /// Throws std::invalid_argument unless every kind has a latency and efficiencies in (0, 1].
  explicit CollectiveModel(CollectiveSpec spec);

  /// Resolves `automatic`: all-to-all runs flat; ring inside a node and for odd placements, two_level across nodes; send is flat.
  /// Two levels on one node are one: there two_level is the ring and hierarchical flat. Any other wish is granted as it is.
  [[nodiscard]] CollectiveAlgorithm choose(CollectiveKind kind, CollectiveAlgorithm wanted, std::span<const NodeId> node_of) const;

  /// Paid once per call, before the first byte.
  [[nodiscard]] Seconds base_latency(CollectiveKind kind) const;

  /// Software latency of one dependent step over a route, beside the route's own.
  [[nodiscard]] Seconds step_latency(bool crosses_nodes) const;

  /// Share of the narrowest link that a large transfer of this kind reaches, 0 < e <= 1. members_in_node: of the sender; between the
  /// numbers that were measured the share is interpolated, beyond them it is the nearest one's.
  [[nodiscard]] double efficiency(CollectiveKind kind, bool crosses_nodes, std::int64_t members_in_node) const;

  /// The same where a member sends `sent` bytes in all in a phase: small transfers do not fill the library's pipeline. sent / efficiency
  /// rises with `sent`; for large ones it is the sum of the large transfer's time and a constant. Only NVLink has a measured ramp.
  [[nodiscard]] double efficiency(CollectiveKind kind, bool crosses_nodes, std::int64_t members_in_node, Bytes sent) const;

  /// `algorithm` as chosen, not automatic; `size` is S. kernel_footprint.cpp has the sources.
  [[nodiscard]] KernelFootprint footprint(CollectiveKind kind, CollectiveAlgorithm algorithm, Bytes size) const;

 private:
  CollectiveSpec spec_;
};

}  // namespace fabricast::hw
