// The cluster as a graph of GPUs, NVSwitch planes, NICs, leaf and spine switches, and the routes through it. Knows bandwidths and
// latencies, no collective and no time. Boost.Graph stays in the .cpp.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

enum class VertexKind : std::uint8_t { gpu, nvswitch, nic, leaf, spine };
using VertexId = Id<struct VertexMeaning>;  // GPU g is vertex g

enum class LinkKind : std::uint8_t { nvlink, pcie, infiniband, fabric };  // infiniband: NIC to leaf; fabric: between switches
[[nodiscard]] std::string_view name_of(LinkKind kind);

/// One direction of a connection.
struct Link {
  LinkKind kind;
  BytesPerSecond bandwidth;
  Seconds latency;        // this link's part of a route's latency
  VertexId from, to;
  std::string name;       // "node 3 gpu 1 -> nvswitch"
};

/// The links that a transfer crosses, in order, and the sum of their latencies.
struct Route {
  static constexpr std::size_t max_links = 8;
  std::array<LinkId, max_links> link_ids{};
  std::uint8_t length = 0;
  Seconds latency{};
  /// Points into the route: name the route before looping over its links.
  [[nodiscard]] std::span<const LinkId> links() const { return {link_ids.data(), length}; }
};

/// A way of cutting the cluster into parts, for byte floors: what each GPU brings to the bandwidth, per direction, between its part and
/// the rest, and the switch links that GPUs of one part share on the way.
struct CutLevel {
  std::string_view name;                       // "gpu", "node", "leaf" or "pod"
  std::vector<std::int32_t> part_of;           // by GpuId
  std::vector<BytesPerSecond> gpu_nvlink;      // by GpuId: to other members in its node; empty where nodes stay whole
  std::vector<BytesPerSecond> gpu_network;     // by GpuId: to members on other nodes, the narrower of PCIe and NIC; empty on one node
  std::vector<std::int32_t> port_of;           // by GpuId: the NIC or leaf through which it leaves the part; empty where no link is shared
  std::vector<BytesPerSecond> port_bandwidth;  // by port: the NIC, or all uplinks of the leaf
  bool switches_reduce = false;                // can what lies between the parts add up what they send?
};

/// Switches that collectives may use as members: a node's NVSwitch plane, or the leaf of a GPU's NIC.
enum class SwitchPlace : std::uint8_t { node, network };

/// A GPU's links and its place in the network. A cluster of one node has no network: the last six are unused. GPUs may share a NIC and
/// with it nic_to_leaf and leaf_to_nic.
struct GpuPorts {
  NodeId node;
  LinkId to_nvswitch, from_nvswitch;
  LinkId to_nic, from_nic, nic_to_leaf, leaf_to_nic;
  std::int32_t leaf = 0;    // 0 … leaves-1
  std::int32_t spine = 0;   // the one through which other leaves reach this GPU
};

/// Routes. Within a node: up to the NVSwitch plane and down. Between nodes, whatever the slots: PCIe, NIC, leaf, a spine and another leaf
/// unless one leaf serves both NICs, NIC, PCIe. The spine depends on the destination alone, or on a hash of both ends (ecmp); with adaptive
/// routing all spines are one, over which a transfer is spread. A transfer whose spine has lost a link on its way takes the next that works.
/// With adaptive routing the links lost at either end bound a transfer each by itself, though spines that both ends still share be fewer.
class Topology {
 public:
  /// Throws ConfigError, pointer set ("/cluster/fabric/spines"), where the cluster cannot be built.
  explicit Topology(const ClusterSpec& cluster);

  [[nodiscard]] std::int64_t gpus() const { return static_cast<std::int64_t>(ports_.size()); }
  [[nodiscard]] std::int64_t nodes() const { return nodes_; }
  [[nodiscard]] std::int64_t gpus_per_node() const { return gpus_per_node_; }
  [[nodiscard]] NodeId node_of(GpuId gpu) const { return ports_[gpu.index()].node; }
  [[nodiscard]] std::int64_t slot_of(GpuId gpu) const { return gpu.value % gpus_per_node_; }

  /// The leaf that serves the GPU's NIC, in a cluster of several nodes.
  [[nodiscard]] std::int32_t leaf_of(GpuId gpu) const { return ports_[gpu.index()].leaf; }
  /// Where routes between leaves follow from these and the destination alone: equal numbers, equal links between leaf and leaf. Nothing where
  /// they depend on both ends (ecmp).
  [[nodiscard]] std::optional<std::int32_t> spine_towards(GpuId gpu) const {
    return ecmp_seed_ ? std::nullopt : std::optional(ports_[gpu.index()].spine);
  }

  /// Equal numbers: equal chips, equally slow. 0 … GpuClasses::specs.size() − 1 (equipment.hpp).
  [[nodiscard]] std::int32_t gpu_class(GpuId gpu) const { return class_of_[gpu.index()]; }

  [[nodiscard]] std::span<const VertexKind> vertices() const { return vertices_; }  // by VertexId
  [[nodiscard]] std::span<const Link> links() const { return links_; }              // by LinkId
  /// Deterministic: the same pair always takes the same links. source == destination gives an empty route. O(1), but for spines passed over
  /// because a link has failed.
  [[nodiscard]] Route route(GpuId source, GpuId destination) const;
  /// Half a route: from a GPU to a switch that reduces, and from one that multicasts to a GPU. A reduction that several leaves take part in
  /// goes on above them, with no more bytes per leaf than one of its NICs brings, so the leaf stands for all of them. A cluster of one
  /// node has no network switch.
  [[nodiscard]] Route to_switch(GpuId gpu, SwitchPlace place) const;
  [[nodiscard]] Route from_switch(GpuId gpu, SwitchPlace place) const;
  /// From the finest to the coarsest; levels that cannot bind before a finer one are left out.
  [[nodiscard]] std::span<const CutLevel> cut_levels() const { return cut_levels_; }

 private:
  struct Uplinks { LinkId up, down; };
  [[nodiscard]] Uplinks between_leaves(GpuId source, GpuId destination) const;

  std::int64_t nodes_ = 0, gpus_per_node_ = 0, spines_ = 0;
  std::optional<std::uint64_t> ecmp_seed_;
  std::vector<GpuPorts> ports_;                        // by GpuId
  std::vector<std::int32_t> class_of_;                 // by GpuId
  std::vector<std::optional<LinkId>> leaf_to_spine_, spine_to_leaf_;  // [leaf · spines + spine]
  Seconds node_latency_{}, leaf_latency_{}, spine_latency_{};
  std::vector<VertexKind> vertices_;
  std::vector<Link> links_;
  std::vector<CutLevel> cut_levels_;
};

}  // namespace fabricast::hw
