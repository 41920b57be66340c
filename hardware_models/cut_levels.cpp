#include <algorithm>

#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {
namespace {

template <class PartOf>
std::vector<std::int32_t> by_gpu(const ClusterSpec& cluster, PartOf part_of) {
  std::vector<std::int32_t> parts(cluster.gpus());
  for (std::int64_t gpu = 0; gpu < cluster.gpus(); ++gpu) parts[gpu] = static_cast<std::int32_t>(part_of(gpu));
  return parts;
}

}  // namespace

std::vector<CutLevel> make_cut_levels(const ClusterSpec& cluster) {
  std::vector<CutLevel> levels;
  const BytesPerSecond nvlink = cluster.node.nvlink_bandwidth;
  if (cluster.nodes == 1) {
    levels.push_back(
        {"gpu", by_gpu(cluster, [](std::int64_t gpu) { return gpu; }), nvlink, BytesPerSecond(0), {}, {}, cluster.node.in_switch_reduction});
    return levels;
  }
  const BytesPerSecond network = std::min(cluster.node.pcie_bandwidth, cluster.fabric.nic_bandwidth);
  levels.push_back({"gpu", by_gpu(cluster, [](std::int64_t gpu) { return gpu; }), nvlink, network, {}, {},
                    cluster.node.in_switch_reduction || cluster.fabric.in_network_reduction});
  const auto node_of = [&](std::int64_t gpu) { return gpu / cluster.node.gpus; };
  levels.push_back({"node", by_gpu(cluster, node_of), BytesPerSecond(0), network, {}, {}, cluster.fabric.in_network_reduction});
  const LeafPlan plan(cluster);
  // Without oversubscription the uplinks carry whatever the NICs below them do, and the node cut says more.
  if (plan.pods() > 1 && cluster.fabric.oversubscription > 1.0) {
    levels.push_back({cluster.fabric.kind == FabricKind::rail_optimized ? "pod" : "leaf",
                      by_gpu(cluster, [&](std::int64_t gpu) { return plan.pod_of(gpu); }), BytesPerSecond(0), network,
                      by_gpu(cluster, [&](std::int64_t gpu) { return plan.leaf_of(gpu); }), plan.uplink_bandwidth(),
                      cluster.fabric.in_network_reduction});
  }
  return levels;
}

}  // namespace fabricast::hw
