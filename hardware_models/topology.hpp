// The cluster as a graph of GPUs, NVSwitch planes, NICs, leaf and spine switches, and the routes through it. Knows bandwidths and
// latencies, no collective and no time. Boost.Graph stays in the .cpp.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

enum class LinkKind : std::uint8_t { nvlink, pcie, infiniband, fabric };  // infiniband: NIC to leaf; fabric: between switches
[[nodiscard]] std::string_view name_of(LinkKind kind);

/// One direction of a connection.
struct Link {
  LinkKind kind;
  BytesPerSecond bandwidth;
  std::string name;       // "node 3 gpu 1 -> nvswitch"
};

/// The links that a transfer crosses, in order, and the sum of their latencies.
struct Route {
  static constexpr std::size_t max_links = 8;
  std::array<LinkId, max_links> link_ids{};
  std::uint8_t length = 0;
  Seconds latency{};
  [[nodiscard]] std::span<const LinkId> links() const { return {link_ids.data(), length}; }
};

/// A way of cutting the cluster into parts, for byte floors: bandwidth with which each part can send to (and receive from) the rest.
struct CutLevel {
  std::string_view name;                       // "gpu", "node", "leaf"
  std::vector<std::int32_t> part_of;           // by GpuId
  std::vector<BytesPerSecond> part_bandwidth;  // by part and direction: all of the part's outgoing links
  std::vector<BytesPerSecond> gpu_share;       // by GpuId: the part of it that belongs to this GPU alone (its own NIC); 0 if links are shared
};

class Topology {
 public:
  explicit Topology(const ClusterSpec& cluster);

  [[nodiscard]] std::int64_t gpus() const { return static_cast<std::int64_t>(node_of_.size()); }
  [[nodiscard]] std::int64_t nodes() const { return nodes_; }
  [[nodiscard]] std::int64_t gpus_per_node() const { return gpus_per_node_; }
  [[nodiscard]] NodeId node_of(GpuId gpu) const { return node_of_[gpu.index()]; }
  [[nodiscard]] std::int64_t slot_of(GpuId gpu) const { return gpu.value % gpus_per_node_; }

  [[nodiscard]] std::span<const Link> links() const { return links_; }
  /// Deterministic: the same pair always takes the same links. source == destination gives an empty route.
  [[nodiscard]] Route route(GpuId source, GpuId destination) const;
  [[nodiscard]] std::span<const CutLevel> cut_levels() const { return cut_levels_; }

 private:
  std::int64_t nodes_ = 0, gpus_per_node_ = 0;
  std::vector<NodeId> node_of_;
  std::vector<Link> links_;
  std::vector<CutLevel> cut_levels_;
};

}  // namespace fabricast::hw
