#include <algorithm>

#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {
namespace {

class CutMaker {
 public:
  CutMaker(const ClusterSpec& cluster, const Equipment& equipment, const LeafPlan& plan)
      : cluster_(cluster), equipment_(equipment), plan_(plan) {}

  std::vector<CutLevel> make() const {
    std::vector<CutLevel> levels;
    levels.push_back({"gpu", by_gpu([](std::int64_t gpu) { return gpu; }), equipment_.nvlink, {}, {}, {}, cluster_.node.in_switch_reduction});
    if (cluster_.nodes == 1) return levels;
    levels.back().gpu_network = network();
    levels.back().switches_reduce = cluster_.node.in_switch_reduction || cluster_.fabric.in_network_reduction;
    levels.push_back(node_level());
    if (plan_.pods() > 1 && uplinks_may_bind()) levels.push_back(pod_level());
    return levels;
  }

 private:
  template <class Number>
  std::vector<std::int32_t> by_gpu(Number number_of) const {
    std::vector<std::int32_t> numbers(cluster_.gpus());
    for (std::int64_t gpu = 0; gpu < cluster_.gpus(); ++gpu) numbers[gpu] = static_cast<std::int32_t>(number_of(gpu));
    return numbers;
  }

  const NicPort& port_of(std::int64_t gpu) const { return equipment_.ports[equipment_.port_of[gpu]]; }

  std::vector<BytesPerSecond> network() const {
    std::vector<BytesPerSecond> network(cluster_.gpus());
    for (std::int64_t gpu = 0; gpu < cluster_.gpus(); ++gpu) network[gpu] = std::min(equipment_.pcie[gpu], port_of(gpu).bandwidth);
    return network;
  }

  CutLevel node_level() const {
    CutLevel level{"node", by_gpu([&](std::int64_t gpu) { return gpu / cluster_.node.gpus; }), {}, network(), {}, {}, cluster_.fabric.in_network_reduction};
    std::vector<bool> used(equipment_.ports.size());
    bool shared = false;
    for (const std::int32_t port : equipment_.port_of) {
      shared = shared || used[port];
      used[port] = true;
    }
    if (!shared) return level;
    level.port_of = equipment_.port_of;
    for (const NicPort& port : equipment_.ports) level.port_bandwidth.push_back(port.bandwidth);
    return level;
  }

  /// With as much above a leaf as below it the uplinks carry whatever the NICs do, and the node cut says more.
  bool uplinks_may_bind() const {
    for (std::int64_t leaf = 0; leaf < plan_.leaves(); ++leaf) {
      if (plan_.uplink_bandwidth(leaf) < plan_.nic_bandwidth(leaf) * (1.0 - 1e-9)) return true;
    }
    return false;
  }

  CutLevel pod_level() const {
    CutLevel level{cluster_.fabric.kind == FabricKind::rail_optimized ? "pod" : "leaf",
                   by_gpu([&](std::int64_t gpu) { return plan_.pod_of_node(gpu / cluster_.node.gpus); }),
                   {},
                   network(),
                   by_gpu([&](std::int64_t gpu) { return plan_.leaf_of(port_of(gpu)); }),
                   {},
                   cluster_.fabric.in_network_reduction};
    for (std::int64_t leaf = 0; leaf < plan_.leaves(); ++leaf) level.port_bandwidth.push_back(plan_.uplink_bandwidth(leaf));
    return level;
  }

  const ClusterSpec& cluster_;
  const Equipment& equipment_;
  const LeafPlan& plan_;
};

}  // namespace

std::vector<CutLevel> make_cut_levels(const ClusterSpec& cluster, const Equipment& equipment, const LeafPlan& plan) {
  return CutMaker(cluster, equipment, plan).make();
}

}  // namespace fabricast::hw
