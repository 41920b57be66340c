// Which GPUs of a cluster stand for those that a measured collective ran on. Knows no simulation and no fit.
#pragma once

#include <vector>

#include "hardware_models/topology.hpp"
#include "validation/collective_bench.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

/// The first `in_node` GPUs of each of the first `nodes` nodes, node by node. The topology must have as many.
[[nodiscard]] std::vector<GpuId> first_gpus(std::int64_t nodes, std::int64_t in_node, const hw::Topology& topology);

/// The first GPUs of the first nodes. A send has two: the first GPU and the next, on the next node where there are several.
[[nodiscard]] std::vector<GpuId> group_of(const CollectiveMeasurement& row, const hw::Topology& topology);

/// The row's collective, to be simulated on that group.
[[nodiscard]] CollectiveBench bench_of(const CollectiveMeasurement& row, const hw::Topology& topology);

}  // namespace fabricast::validation
