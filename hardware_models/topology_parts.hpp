// The steps by which topology.cpp builds a Topology. Nobody else includes this.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/topology.hpp"

namespace fabricast::hw {

/// Which leaf serves which NIC. rail_optimized: pods of nodes_per_leaf nodes with one leaf per slot; fat_tree: one leaf for all NICs of
/// nodes_per_leaf nodes. The last pod or leaf may serve fewer nodes.
class LeafPlan {
 public:
  explicit LeafPlan(const ClusterSpec& cluster);
  [[nodiscard]] std::int64_t pods() const { return pods_; }
  [[nodiscard]] std::int64_t leaves() const { return pods_ * leaves_per_pod_; }
  [[nodiscard]] std::int64_t spines() const { return leaves() > 1 ? spines_ : 0; }  // a single leaf needs none
  [[nodiscard]] std::int64_t pod_of(std::int64_t gpu) const { return gpu / gpus_per_node_ / nodes_per_pod_; }
  [[nodiscard]] std::int64_t leaf_of(std::int64_t gpu) const {
    return pod_of(gpu) * leaves_per_pod_ + gpu % gpus_per_node_ % leaves_per_pod_;
  }
  /// By leaf: as much as its NICs bring down, divided by the oversubscription.
  [[nodiscard]] std::vector<BytesPerSecond> uplink_bandwidth() const;

 private:
  std::int64_t gpus_, gpus_per_node_, nodes_per_pod_, pods_, leaves_per_pod_, spines_;
  BytesPerSecond nic_bandwidth_;
  double oversubscription_;
};

/// Throws ConfigError with the pointer of the first key that makes the cluster impossible.
void require_buildable(const ClusterSpec& cluster);

/// Vertices: GPUs, then an NVSwitch plane per node, and in a cluster of several nodes a NIC per GPU, leaves and spines.
struct Wiring {
  std::vector<VertexKind> vertices;
  std::vector<Link> links;
  std::vector<GpuPorts> ports;   // spine not yet chosen
};
[[nodiscard]] Wiring wire(const ClusterSpec& cluster);

/// The links of shortest paths between leaves, [leaf · spines + spine]: every spine is an equal-cost choice.
struct SwitchPaths {
  std::int64_t spines = 0;
  std::vector<LinkId> leaf_to_spine, spine_to_leaf;
};
[[nodiscard]] SwitchPaths shortest_switch_paths(const Wiring& wiring);

[[nodiscard]] std::vector<CutLevel> make_cut_levels(const ClusterSpec& cluster);

}  // namespace fabricast::hw
