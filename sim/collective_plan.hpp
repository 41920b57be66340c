// What the network has to do for one collective: which transfers, over which paths, how long after the phase's start, and the byte floor.
// Knows no simulated time: it says what follows the start of a phase, not when that is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hardware_models/collective_model.hpp"
#include "hardware_models/gpu_cost.hpp"
#include "hardware_models/topology.hpp"
#include "sim/collective_request.hpp"
#include "sim/block_exchange.hpp"
#include "sim/path_table.hpp"

namespace fabricast::sim {

struct PlannedTransfer {
  std::int32_t source, destination;         // members, or hw::node_switch and hw::network_switch
  Bytes payload;
  Bytes wire;                               // payload / efficiency, rounded up
  PathId path{-1};                          // in the network that runs the plan, once bound
};

/// Transfers [first, last) of the plan, whose first bytes enter the network `delay` after their phase's start: the latencies of route and
/// software, once per dependent step.
struct Launch {
  SimTime delay;
  std::int32_t first, last;
};

/// Launches [first, last) of the plan. A phase starts when all transfers of the one before it have ended. Lowered phases that are pipelined
/// with one another are one phase here: they run side by side, each from the delay on that its place in the pipeline costs.
struct PlannedPhase {
  std::int32_t first, last;
  std::int32_t transfers;
};

struct CollectivePlan {
  SimTime base_latency;                     // before the first phase, filling the kernels' pipeline included; 0 where nothing is transferred
  Seconds floor;
  std::vector<PlannedTransfer> transfers;
  std::vector<Launch> launches;
  std::vector<PlannedPhase> phases;
  std::vector<std::int32_t> transfers_of;   // by member: in and out, all phases
  std::vector<hw::GpuLoad> loads;           // by member: what its kernel holds of its GPU; kernel_loads.hpp
  std::optional<BlockExchange> exchange;    // in place of transfers, launches, phases and transfers_of
};

/// The links that a transfer crosses. A switch stands for a GPU by its own (negative) number.
[[nodiscard]] hw::Route route_between(GpuId source, GpuId destination, const hw::Topology& topology);
[[nodiscard]] hw::Route route_of(const PlannedTransfer& transfer, std::span<const GpuId> gpu_of, const hw::Topology& topology);

/// Paths are not bound yet. Of a request with a table, transfers may be left unlisted, as an exchange.
[[nodiscard]] CollectivePlan plan_collective(const CollectiveRequest& asked, const hw::Topology& topology, const hw::CollectiveModel& model);

void bind_paths(CollectivePlan& plan, std::span<const GpuId> gpu_of, PathTable& paths);

}  // namespace fabricast::sim
