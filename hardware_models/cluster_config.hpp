// Reads a cluster from its configuration: nodes, fabric, and by way of their own readers the GPU and the collective profile. Knows no
// files: references are already inlined.
#pragma once

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/json_node.hpp"

namespace fabricast::hw {

/// Throws ConfigError for anything missing, unknown, out of range or at odds with the rest of the cluster.
[[nodiscard]] ClusterSpec read_cluster(const JsonNode& node);

}  // namespace fabricast::hw
