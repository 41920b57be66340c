#include <fmt/format.h>

#include <cmath>

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
  const std::int64_t leaves = LeafPlan(cluster).leaves();
  require(fabric.spines >= (leaves > 1 ? 1 : 0), "/cluster/fabric/spines",
          fmt::format("{} leaf switches cannot reach each other over {} spines; give 1 or more", leaves, fabric.spines));
  require(leaves == 1 || fabric.spines <= most_switch_pairs / leaves, "/cluster/fabric/spines",
          fmt::format("{} leaves times {} spines exceed {} switch pairs", leaves, fabric.spines, most_switch_pairs));
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
  if (cluster.nodes > 1) require_network(cluster);
}

}  // namespace fabricast::hw
