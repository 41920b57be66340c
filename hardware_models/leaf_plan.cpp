#include <algorithm>

#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {

LeafPlan::LeafPlan(const ClusterSpec& cluster, const Equipment& equipment)
    : nodes_per_pod_(std::max<std::int64_t>(cluster.fabric.nodes_per_leaf, 1)),
      pods_((cluster.nodes - 1) / nodes_per_pod_ + 1),
      leaves_per_pod_(cluster.fabric.kind == FabricKind::rail_optimized ? equipment.most_ports : 1),
      spines_(cluster.fabric.spine_choice == SpineChoice::adaptive ? std::min<std::int64_t>(cluster.fabric.spines, 1) : cluster.fabric.spines),
      below_(leaves()) {
  for (const NicPort& port : equipment.ports) below_[leaf_of(port)] += port.nominal;
  lay_uplinks(cluster);
}

BytesPerSecond LeafPlan::uplink_bandwidth(std::int64_t leaf) const {
  BytesPerSecond sum{};
  for (std::int64_t spine = 0; spine < spines(); ++spine) sum += uplinks_[leaf * spines() + spine];
  return sum;
}

void LeafPlan::lay_uplinks(const ClusterSpec& cluster) {
  uplinks_.resize(leaves() * spines());
  if (spines() == 0) return;
  const auto per_leaf = static_cast<double>(spines());
  for (std::int64_t leaf = 0; leaf < leaves(); ++leaf) {
    for (std::int64_t spine = 0; spine < spines(); ++spine) {
      uplinks_[leaf * spines() + spine] = below_[leaf] / cluster.fabric.oversubscription / per_leaf;
    }
  }
  for (const Faults::Uplink& fault : cluster.faults.uplinks) {
    const BytesPerSecond one = below_[fault.leaf] / cluster.fabric.oversubscription / static_cast<double>(cluster.fabric.spines);
    const std::int64_t spine = spines() == cluster.fabric.spines ? fault.spine : 0;
    uplinks_[fault.leaf * spines() + spine] -= one * (1.0 - fault.bandwidth);
  }
  for (BytesPerSecond& uplink : uplinks_) {
    // What rounding leaves of a link that has failed is nothing.
    if (uplink.value() < 1.0) uplink = BytesPerSecond(0);
  }
}

}  // namespace fabricast::hw
