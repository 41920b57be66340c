// What work costs on a cluster: a GPU model for each class of its GPUs and the communication library's. Knows no schedule.
#pragma once

#include <cstdint>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/collective_model.hpp"
#include "hardware_models/gpu_cost.hpp"

namespace fabricast::sim {

struct CostModel {
  hw::GpuCostModel gpu;                    // of class 0 (hw::Topology::gpu_class)
  hw::CollectiveModel collectives;
  std::vector<hw::GpuCostModel> others = {};    // of class 1, 2, …

  [[nodiscard]] const hw::GpuCostModel& of_class(std::int32_t gpu_class) const { return gpu_class == 0 ? gpu : others[gpu_class - 1]; }
};
[[nodiscard]] CostModel cost_model(const hw::ClusterSpec& cluster);

}  // namespace fabricast::sim
