#include "validation/strategy_config.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hardware_models/json_reader.hpp"

namespace fabricast::validation {
namespace {

using hw::CollectiveAlgorithm;
using hw::ObjectReader;
using strategy::ExpertInput;
using strategy::ExpertPlacement;
using strategy::StrategySpec;

constexpr hw::IntegerRange degree_range{1, 1 << 20};  // no cluster has more GPUs; three degrees multiply within 64 bits
constexpr hw::IntegerRange chunk_range{1, 1024};

/// A permutation of the axes that multiply to the ranks of dense layers, innermost first.
std::vector<ir::Axis> read_axis_order(const hw::JsonNode& node) {
  const std::vector<std::string> names = {"tensor", "context", "data", "pipeline"};
  constexpr ir::Axis axes[] = {ir::Axis::tensor, ir::Axis::context, ir::Axis::data, ir::Axis::pipeline};
  std::vector<ir::Axis> order;
  for (const hw::JsonNode& element : hw::as_array(node)) {
    const ir::Axis axis = axes[hw::as_choice(element, names)];
    if (std::find(order.begin(), order.end(), axis) != order.end()) hw::fail(element, "occurs twice; name every axis once");
    order.push_back(axis);
  }
  if (order.size() != names.size()) {
    hw::fail(node, fmt::format("names {} axes; name all of tensor, context, data, pipeline, innermost first", order.size()));
  }
  return order;
}

std::int64_t read_overlap(const hw::JsonNode& node) {
  if (std::holds_alternative<std::string>(node.value)) {
    if (std::get<std::string>(node.value) != "none") hw::fail(node, "must be \"none\" or an object, as in {\"chunks\": 4}");
    return 1;
  }
  ObjectReader reader(node);
  const std::int64_t chunks = reader.integer("chunks", chunk_range);
  reader.finish();
  return chunks;
}

strategy::Algorithms read_algorithms(const hw::JsonNode& node) {
  ObjectReader reader(node);
  strategy::Algorithms algorithms;
  algorithms.tensor = reader
                          .optional_choice<CollectiveAlgorithm>("tensor", {{"automatic", CollectiveAlgorithm::automatic},
                                                                           {"ring", CollectiveAlgorithm::ring},
                                                                           {"two_level", CollectiveAlgorithm::two_level},
                                                                           {"rail_ring", CollectiveAlgorithm::rail_ring},
                                                                           {"tree", CollectiveAlgorithm::tree},
                                                                           {"nvls", CollectiveAlgorithm::nvls},
                                                                           {"nvls_tree", CollectiveAlgorithm::nvls_tree},
                                                                           {"sharp", CollectiveAlgorithm::sharp}})
                          .value_or(CollectiveAlgorithm::automatic);
  algorithms.expert = reader
                          .optional_choice<CollectiveAlgorithm>("expert", {{"automatic", CollectiveAlgorithm::automatic},
                                                                           {"flat", CollectiveAlgorithm::flat},
                                                                           {"hierarchical", CollectiveAlgorithm::hierarchical},
                                                                           {"pairwise", CollectiveAlgorithm::pairwise},
                                                                           {"deduplicated", CollectiveAlgorithm::deduplicated},
                                                                           {"low_latency", CollectiveAlgorithm::low_latency}})
                          .value_or(CollectiveAlgorithm::automatic);
  reader.finish();
  return algorithms;
}

void read_degrees(ObjectReader& reader, StrategySpec& strategy) {
  strategy.tensor = reader.optional_integer("tensor", degree_range).value_or(1);
  strategy.pipeline = reader.optional_integer("pipeline", degree_range).value_or(1);
  strategy.context = reader.optional_integer("context", degree_range).value_or(1);
  strategy.expert = reader.optional_integer("expert", degree_range).value_or(1);
  strategy.expert_tensor = reader.optional_integer("expert_tensor", degree_range);
  strategy.data = reader.optional_integer("data", degree_range);
  strategy.expert_data = reader.optional_integer("expert_data", degree_range);
  strategy.virtual_pipeline = reader.optional_integer("virtual_pipeline", degree_range).value_or(1);
}

}  // namespace

StrategySpec read_strategy(const hw::JsonNode& node) {
  ObjectReader reader(node);
  StrategySpec strategy;
  read_degrees(reader, strategy);
  if (const auto* order = reader.optional_child("axis_order")) strategy.axis_order = read_axis_order(*order);
  strategy.expert_placement = reader
                                  .optional_choice<ExpertPlacement>("expert_placement", {{"every_layer", ExpertPlacement::every_layer},
                                                                                         {"striped", ExpertPlacement::striped},
                                                                                         {"replicated", ExpertPlacement::replicated}})
                                  .value_or(ExpertPlacement::every_layer);
  strategy.expert_input = reader
                              .optional_choice<ExpertInput>("expert_input", {{"sequence_sharded", ExpertInput::sequence_sharded},
                                                                             {"replicated", ExpertInput::replicated}})
                              .value_or(ExpertInput::sequence_sharded);
  if (const auto* overlap = reader.optional_child("overlap")) strategy.overlap_chunks = read_overlap(*overlap);
  if (const auto* algorithms = reader.optional_child("algorithms")) strategy.algorithms = read_algorithms(*algorithms);
  reader.finish();
  return strategy;
}

}  // namespace fabricast::validation
