// The steps by which topology.cpp builds a Topology. Nobody else includes this.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/equipment.hpp"
#include "hardware_models/topology.hpp"

namespace fabricast::hw {

/// Which leaf serves which NIC. rail_optimized: pods of nodes_per_leaf nodes with one leaf per port of a node; fat_tree: one leaf for all
/// NICs of nodes_per_leaf nodes. The last pod or leaf may serve fewer nodes. With adaptive routing all spines are one.
class LeafPlan {
 public:
  /// The arguments must outlive it.
  LeafPlan(const ClusterSpec& cluster, const Equipment& equipment);
  [[nodiscard]] std::int64_t pods() const { return pods_; }
  [[nodiscard]] std::int64_t leaves() const { return pods_ * leaves_per_pod_; }
  [[nodiscard]] std::int64_t spines() const { return leaves() > 1 ? spines_ : 0; }  // a single leaf needs none
  [[nodiscard]] std::int64_t pod_of_node(std::int64_t node) const { return node / nodes_per_pod_; }
  [[nodiscard]] std::int64_t leaf_of(const NicPort& port) const {
    return pod_of_node(port.node) * leaves_per_pod_ + port.index % leaves_per_pod_;
  }
  [[nodiscard]] std::int64_t leaves_per_pod() const { return leaves_per_pod_; }
  /// [leaf · spines + spine], per direction. A leaf without faults brings up as much as its NICs bring down, divided by the
  /// oversubscription, in equal parts. 0: failed, or a leaf that serves no NIC.
  [[nodiscard]] const std::vector<BytesPerSecond>& uplinks() const { return uplinks_; }
  [[nodiscard]] BytesPerSecond uplink_bandwidth(std::int64_t leaf) const;   // all of them
  [[nodiscard]] BytesPerSecond nic_bandwidth(std::int64_t leaf) const { return below_[leaf]; }

 private:
  void lay_uplinks(const ClusterSpec& cluster);

  std::int64_t nodes_per_pod_, pods_, leaves_per_pod_, spines_;
  std::vector<BytesPerSecond> below_;      // by leaf: its NICs, faults left out
  std::vector<BytesPerSecond> uplinks_;
};

/// Throws ConfigError with the pointer of the first key that makes the cluster impossible.
void require_buildable(const ClusterSpec& cluster);

/// Vertices: GPUs, then an NVSwitch plane per node, and in a cluster of several nodes a NIC per port, leaves and spines.
struct Wiring {
  std::vector<VertexKind> vertices;
  std::vector<Link> links;
  std::vector<GpuPorts> ports;   // spine not yet chosen
};
[[nodiscard]] Wiring wire(const ClusterSpec& cluster, const Equipment& equipment, const LeafPlan& plan);

/// The links of shortest paths between leaves, [leaf · spines + spine]: every spine that both leaves are wired to is an equal-cost choice.
/// Throws ConfigError where failed uplinks leave two leaves that serve NICs without a common spine.
struct SwitchPaths {
  std::int64_t spines = 0;
  std::vector<std::optional<LinkId>> leaf_to_spine, spine_to_leaf;   // nothing where failed
};
[[nodiscard]] SwitchPaths shortest_switch_paths(const Wiring& wiring);

[[nodiscard]] std::vector<CutLevel> make_cut_levels(const ClusterSpec& cluster, const Equipment& equipment, const LeafPlan& plan);

}  // namespace fabricast::hw
