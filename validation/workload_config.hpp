// Reads what a job processes and how its tokens find their experts. Knows no model and no hardware.
#pragma once

#include <filesystem>

#include "hardware_models/json_node.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::validation {

/// sequences and sequence_length; optional: phase ("forward"), micro_batches (1), head_on_all_tokens (true). Throws hw::ConfigError.
[[nodiscard]] strategy::WorkloadSpec read_workload(const hw::JsonNode& node);

/// distribution "uniform", "zipf" or "file"; optional: seed (1), and with zipf exponent (1). With file: `file`, a CSV relative to the
/// experiment. Throws hw::ConfigError.
[[nodiscard]] strategy::RoutingSpec read_routing(const hw::JsonNode& node, const std::filesystem::path& experiment);

}  // namespace fabricast::validation
