// A strategy as configurations write it: the inverse of strategy_config.hpp.
#pragma once

#include "strategies/strategy_spec.hpp"
#include "validation/json_writer.hpp"

namespace fabricast::validation {

/// Into an object that is already open: the degrees tensor, pipeline and expert, and whatever else is not at its default.
void write_strategy(JsonWriter& json, const strategy::StrategySpec& strategy);

[[nodiscard]] std::string_view name_of(strategy::ExpertPlacement placement);
[[nodiscard]] std::string_view name_of(strategy::ExpertInput input);
[[nodiscard]] std::string_view name_of(strategy::RoutingDistribution distribution);

}  // namespace fabricast::validation
