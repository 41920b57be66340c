#include "validation/strategy_json.hpp"

namespace fabricast::validation {

std::string_view name_of(strategy::ExpertPlacement placement) {
  switch (placement) {
    case strategy::ExpertPlacement::every_layer: return "every_layer";
    case strategy::ExpertPlacement::striped: return "striped";
    case strategy::ExpertPlacement::replicated: return "replicated";
  }
  return "";
}

std::string_view name_of(strategy::ExpertInput input) {
  switch (input) {
    case strategy::ExpertInput::sequence_sharded: return "sequence_sharded";
    case strategy::ExpertInput::replicated: return "replicated";
  }
  return "";
}

std::string_view name_of(strategy::RoutingDistribution distribution) {
  switch (distribution) {
    case strategy::RoutingDistribution::uniform: return "uniform";
    case strategy::RoutingDistribution::zipf: return "zipf";
    case strategy::RoutingDistribution::dirichlet: return "dirichlet";
    case strategy::RoutingDistribution::file: return "file";
  }
  return "";
}

void write_strategy(JsonWriter& json, const strategy::StrategySpec& strategy) {
  const strategy::StrategySpec defaults;
  json.field("tensor", strategy.tensor);
  json.field("pipeline", strategy.pipeline);
  if (strategy.context != defaults.context) json.field("context", strategy.context);
  json.field("expert", strategy.expert);
  if (strategy.expert_tensor) json.field("expert_tensor", *strategy.expert_tensor);
  if (strategy.data) json.field("data", *strategy.data);
  if (strategy.expert_data) json.field("expert_data", *strategy.expert_data);
  if (!strategy.axis_order.empty()) {
    json.open_array("axis_order");
    for (const ir::Axis axis : strategy.axis_order) json.element(ir::name_of(axis));
    json.close();
  }
  if (strategy.virtual_pipeline != defaults.virtual_pipeline) json.field("virtual_pipeline", strategy.virtual_pipeline);
  if (strategy.expert_placement != defaults.expert_placement) json.field("expert_placement", name_of(strategy.expert_placement));
  if (strategy.expert_input != defaults.expert_input) json.field("expert_input", name_of(strategy.expert_input));
  if (strategy.overlap_chunks != defaults.overlap_chunks) {
    json.open_object("overlap");
    json.field("chunks", strategy.overlap_chunks);
    json.close();
  }
  json.open_object("algorithms");
  json.field("tensor", hw::name_of(strategy.algorithms.tensor));
  json.field("expert", hw::name_of(strategy.algorithms.expert));
  json.close();
}

}  // namespace fabricast::validation
