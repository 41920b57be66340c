// Reads what makes a real cluster differ from its plan: nodes that differ from the others, and faults. Knows no files: references are already
// inlined. Whether they fit the cluster is checked where the topology is built.
#pragma once

#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/json_node.hpp"

namespace fabricast::hw {

[[nodiscard]] std::vector<OtherNodes> read_other_nodes(const JsonNode& node);
[[nodiscard]] Faults read_faults(const JsonNode& node);

}  // namespace fabricast::hw
