// Reads a parallel strategy from its configuration. Whether its degrees fit model and cluster is for strategies/degrees to say.
#pragma once

#include "hardware_models/json_node.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::validation {

/// Keys as in strategy::StrategySpec, all optional, with its defaults. overlap is "none" or {"chunks": k}. Throws hw::ConfigError.
[[nodiscard]] strategy::StrategySpec read_strategy(const hw::JsonNode& node);

}  // namespace fabricast::validation
