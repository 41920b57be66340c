#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <utility>

#include "hardware_models/config_error.hpp"
#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {
namespace {

// Far beyond any machine built; keeps ids within 32 bits and the tables within memory.
constexpr std::int64_t most_gpus = std::int64_t{1} << 20;
constexpr std::int64_t most_switch_pairs = std::int64_t{1} << 22;

void require(bool holds, const std::string& pointer, const std::string& message) {
  if (!holds) throw ConfigError(message, pointer);
}

void require_positive(BytesPerSecond bandwidth, const std::string& pointer) {
  require(std::isfinite(bandwidth.value()) && bandwidth.value() > 0, pointer,
          fmt::format("a bandwidth must be greater than 0 and finite, got {} B/s", bandwidth.value()));
}

void require_latency(Seconds latency, const std::string& pointer) {
  require(std::isfinite(latency.value()) && latency.value() >= 0, pointer,
          fmt::format("a latency must be 0 or more and finite, got {} s", latency.value()));
}

std::int64_t leaf_count(const ClusterSpec& cluster) {
  const std::int64_t pods = (cluster.nodes - 1) / cluster.fabric.nodes_per_leaf + 1;
  if (cluster.fabric.kind == FabricKind::fat_tree) return pods;
  std::int64_t rails = 0;
  for (std::int64_t node = 0; node < cluster.nodes; ++node) rails = std::max(rails, ports_of(cluster, node));
  return pods * rails;
}

void require_network(const ClusterSpec& cluster) {
  const FabricSpec& fabric = cluster.fabric;
  require_positive(cluster.node.pcie_bandwidth, "/cluster/node/pcie_bandwidth");
  require_positive(fabric.nic_bandwidth, "/cluster/fabric/nic_bandwidth");
  require_latency(fabric.nic_latency, "/cluster/fabric/nic_latency");
  require_latency(fabric.switch_latency, "/cluster/fabric/switch_latency");
  require(fabric.nodes_per_leaf >= 1, "/cluster/fabric/nodes_per_leaf",
          fmt::format("a leaf must serve at least 1 node, got {}", fabric.nodes_per_leaf));
  require(std::isfinite(fabric.oversubscription) && fabric.oversubscription > 0, "/cluster/fabric/oversubscription",
          fmt::format("bandwidth down / bandwidth up must be greater than 0 and finite, got {}", fabric.oversubscription));
  const std::int64_t leaves = leaf_count(cluster);
  require(fabric.spines >= (leaves > 1 ? 1 : 0), "/cluster/fabric/spines",
          fmt::format("{} leaf switches cannot reach each other over {} spines; give 1 or more", leaves, fabric.spines));
  require(leaves == 1 || fabric.spines <= most_switch_pairs / leaves, "/cluster/fabric/spines",
          fmt::format("{} leaves times {} spines exceed {} switch pairs", leaves, fabric.spines, most_switch_pairs));
}

void require_nics(std::int64_t nics, std::int64_t gpus, const std::string& pointer) {
  require(nics >= 1 && (nics % gpus == 0 || gpus % nics == 0), pointer,
          fmt::format("{} NICs cannot be dealt evenly to {} GPUs; give a multiple or a divisor of the GPUs", nics, gpus));
}

void require_range(std::int64_t value, std::int64_t count, const std::string& pointer, const char* what) {
  require(value >= 0 && value < count, pointer, fmt::format("there is no {} {}; they are numbered 0 to {}", what, value, count - 1));
}

void require_other_nodes(const ClusterSpec& cluster) {
  for (std::size_t i = 0; i < cluster.other_nodes.size(); ++i) {
    const OtherNodes& entry = cluster.other_nodes[i];
    const std::string at = fmt::format("/cluster/other_nodes/{}/", i);
    require_range(entry.first, cluster.nodes, at + "first", "node");
    require_range(entry.last, cluster.nodes, at + "last", "node");
    require(entry.first <= entry.last, at + "last", fmt::format("the last node lies before the first, {}", entry.first));
    if (entry.nics) require_nics(*entry.nics, cluster.node.gpus, at + "nics");
    if (entry.nic_bandwidth) require_positive(*entry.nic_bandwidth, at + "nic_bandwidth");
    if (entry.nvlink_bandwidth) require_positive(*entry.nvlink_bandwidth, at + "nvlink_bandwidth");
    if (entry.pcie_bandwidth) require_positive(*entry.pcie_bandwidth, at + "pcie_bandwidth");
  }
}

/// No part twice, and each share within 0 … 1.
class FaultCheck {
 public:
  explicit FaultCheck(std::string list) : list_(std::move(list)) {}

  [[nodiscard]] std::string pointer(std::string_view key) const { return fmt::format("{}/{}/{}", list_, next_, key); }

  void part(std::int64_t place, std::int64_t number, std::string_view key) {
    require(seen_.emplace(place, number).second, pointer(key), "was named before; give one entry for each");
  }
  void share(double left) const {
    require(left >= 0.0 && left <= 1.0, pointer("bandwidth"), fmt::format("the share that is left lies in 0 ... 1, got {}", left));
  }
  void next() { ++next_; }

 private:
  std::string list_;
  std::size_t next_ = 0;
  std::set<std::pair<std::int64_t, std::int64_t>> seen_;
};

void require_gpu_faults(const ClusterSpec& cluster) {
  FaultCheck slow("/cluster/faults/slow_gpus"), nvlink("/cluster/faults/nvlinks");
  for (const Faults::SlowGpu& fault : cluster.faults.slow_gpus) {
    require_range(fault.node, cluster.nodes, slow.pointer("node"), "node");
    require_range(fault.gpu, cluster.node.gpus, slow.pointer("gpu"), "GPU");
    require(std::isfinite(fault.slowdown) && fault.slowdown >= 1.0, slow.pointer("slowdown"),
            fmt::format("a slow GPU takes 1 or more times as long, got {}", fault.slowdown));
    slow.part(fault.node, fault.gpu, "gpu");
    slow.next();
  }
  for (const Faults::Part& fault : cluster.faults.nvlinks) {
    require_range(fault.node, cluster.nodes, nvlink.pointer("node"), "node");
    require_range(fault.part, cluster.node.gpus, nvlink.pointer("gpu"), "GPU");
    nvlink.share(fault.bandwidth);
    nvlink.part(fault.node, fault.part, "gpu");
    nvlink.next();
  }
}

void require_network_faults(const ClusterSpec& cluster) {
  FaultCheck nic("/cluster/faults/nics"), uplink("/cluster/faults/uplinks");
  const std::int64_t leaves = cluster.nodes > 1 ? leaf_count(cluster) : 1;
  for (const Faults::Part& fault : cluster.faults.nics) {
    require(cluster.nodes > 1, "/cluster/faults/nics", "a cluster of one node has no network; leave them out");
    require_range(fault.node, cluster.nodes, nic.pointer("node"), "node");
    require_range(fault.part, nics_of(cluster, fault.node), nic.pointer("nic"), "NIC");
    nic.share(fault.bandwidth);
    nic.part(fault.node, fault.part, "nic");
    nic.next();
  }
  for (const Faults::Uplink& fault : cluster.faults.uplinks) {
    require(leaves > 1, "/cluster/faults/uplinks", "a cluster that one leaf serves has no uplinks; leave them out");
    require_range(fault.leaf, leaves, uplink.pointer("leaf"), "leaf");
    require_range(fault.spine, cluster.fabric.spines, uplink.pointer("spine"), "spine");
    uplink.share(fault.bandwidth);
    uplink.part(fault.leaf, fault.spine, "spine");
    uplink.next();
  }
}

}  // namespace

void require_buildable(const ClusterSpec& cluster) {
  require(cluster.node.gpus >= 1 && cluster.node.gpus <= most_gpus, "/cluster/node/gpus",
          fmt::format("a node must have 1 to {} GPUs, got {}", most_gpus, cluster.node.gpus));
  require(cluster.nodes >= 1 && cluster.nodes <= most_gpus / cluster.node.gpus, "/cluster/nodes",
          fmt::format("a cluster must have at least 1 node and at most {} GPUs, got {} nodes of {}", most_gpus, cluster.nodes,
                      cluster.node.gpus));
  if (cluster.node.gpus > 1) require_positive(cluster.node.nvlink_bandwidth, "/cluster/node/nvlink_bandwidth");
  require_latency(cluster.node.nvlink_latency, "/cluster/node/nvlink_latency");
  if (cluster.node.nics) require_nics(*cluster.node.nics, cluster.node.gpus, "/cluster/node/nics");
  require_other_nodes(cluster);
  if (cluster.nodes > 1) require_network(cluster);
  require_gpu_faults(cluster);
  require_network_faults(cluster);
}

}  // namespace fabricast::hw
