// What a collective's kernels hold of their GPUs while they run. Knows no simulated time.
#pragma once

#include <span>
#include <vector>

#include "hardware_models/collective_model.hpp"
#include "hardware_models/gpu_cost.hpp"
#include "hardware_models/topology.hpp"
#include "sim/collective_plan.hpp"

namespace fabricast::sim {

/// The model's footprint, less the channels that point-to-point transfers have no use for: NCCL gives each peer of a communicator that spans
/// nodes 2 (its log in NVIDIA/nccl issue 1189; issue 1424), so that one message across nodes holds 2 SMs.
[[nodiscard]] hw::KernelFootprint footprint_of(hw::CollectiveKind kind, hw::CollectiveAlgorithm algorithm, Bytes size,
                                               std::span<const NodeId> node_of, const hw::CollectiveModel& model);

/// SMs and memory bandwidth, by member; nothing for a plan without transfers. A member draws its traffic evenly over the time that the
/// collective would take with the network to itself: base latency, and in each phase the longest delay and the busiest GPU's links. Where
/// it takes longer because links are shared the draw is overstated by as much. Whole bytes per second, so that sums are exact.
[[nodiscard]] std::vector<hw::GpuLoad> kernel_loads(const hw::KernelFootprint& footprint, const CollectivePlan& plan,
                                                    std::span<const GpuId> gpu_of, const hw::Topology& topology);

}  // namespace fabricast::sim
