#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {

LeafPlan::LeafPlan(const ClusterSpec& cluster)
    : gpus_(cluster.gpus()),
      gpus_per_node_(cluster.node.gpus),
      nodes_per_pod_(cluster.fabric.nodes_per_leaf),
      pods_((cluster.nodes - 1) / nodes_per_pod_ + 1),
      leaves_per_pod_(cluster.fabric.kind == FabricKind::rail_optimized ? gpus_per_node_ : 1),
      spines_(cluster.fabric.spines),
      nic_bandwidth_(cluster.fabric.nic_bandwidth),
      oversubscription_(cluster.fabric.oversubscription) {}

std::vector<BytesPerSecond> LeafPlan::uplink_bandwidth() const {
  std::vector<BytesPerSecond> bandwidth(leaves());
  for (std::int64_t gpu = 0; gpu < gpus_; ++gpu) bandwidth[leaf_of(gpu)] += nic_bandwidth_;
  for (BytesPerSecond& uplinks : bandwidth) uplinks = uplinks / oversubscription_;
  return bandwidth;
}

}  // namespace fabricast::hw
