// Reads how the communication library behaves from its calibration profile. Knows no files: references are already inlined.
#pragma once

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/json_node.hpp"

namespace fabricast::hw {

/// Throws ConfigError for anything missing, unknown or out of range. Every kind of collective must be named.
[[nodiscard]] CollectiveSpec read_collectives(const JsonNode& node);

}  // namespace fabricast::hw
