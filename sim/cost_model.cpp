#include "sim/cost_model.hpp"

#include <utility>

#include "hardware_models/equipment.hpp"

namespace fabricast::sim {

CostModel cost_model(const hw::ClusterSpec& cluster) {
  hw::GpuClasses classes = hw::gpu_classes(cluster);
  CostModel cost{hw::GpuCostModel(classes.specs.front()), hw::CollectiveModel(cluster.collectives), {}};
  for (std::size_t i = 1; i < classes.specs.size(); ++i) cost.others.emplace_back(std::move(classes.specs[i]));
  return cost;
}

}  // namespace fabricast::sim
