// The least time that the network allows a collective, whatever its algorithm. Knows no algorithm and no latency.
#pragma once

#include <span>

#include "hardware_models/collectives.hpp"
#include "hardware_models/piece_table.hpp"
#include "hardware_models/topology.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

/// The largest, over cuts of the topology, of the bytes that must cross the cut divided by its bandwidth. A cut counts the links of the
/// group's own GPUs (a collective runs on its members), shared switch links whole. All-reduce: with N parts every part sends 2(N-1)/N·S on
/// average, or S where the switches between the parts reduce (a cluster's in_switch_reduction, in_network_reduction). gpu_of[i] is member
/// i's GPU; counts as in collectives.hpp. 0 for a group of one or no bytes.
[[nodiscard]] Seconds byte_floor(CollectiveKind kind, std::span<const GpuId> gpu_of, CollectiveCounts counts, const Topology& topology);
/// Of an all-to-all, by its table: the same as by all of its counts.
[[nodiscard]] Seconds byte_floor(std::span<const GpuId> gpu_of, const PieceTable& table, const Topology& topology);

/// The same for an all-to-all whose tokens need not be sent twice: into (for a combine, out of) a part goes every token of others that has
/// a choice there, once; out of it (into it) at least as many as the part that needs most.
[[nodiscard]] Seconds token_exchange_floor(std::span<const GpuId> gpu_of, CollectiveCounts counts, const Topology& topology,
                                           const TokenRouting& tokens);

}  // namespace fabricast::hw
