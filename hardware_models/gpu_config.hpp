// Reads a GPU from its configuration. Knows no files: references are already inlined.
#pragma once

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/json_node.hpp"

namespace fabricast::hw {

/// Throws ConfigError for anything missing, unknown or out of range. A precision left out of "peak" is one that the chip has no unit for.
[[nodiscard]] GpuSpec read_gpu(const JsonNode& node);

}  // namespace fabricast::hw
