#include "validation/forecast.hpp"

#include <chrono>
#include <string_view>
#include <utility>

#include "strategies/build.hpp"

namespace fabricast::validation {

namespace {

/// The node that a pointer names, or its nearest ancestor where the file leaves the key to its default.
const hw::JsonNode& nearest_node(const hw::JsonNode& document, std::string_view pointer) {
  const hw::JsonNode* node = &document;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);  // the leading '/'
    const std::string_view key = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(key.size());
    const hw::JsonNode* child = node->find(key);
    if (!child) break;
    node = child;
  }
  return *node;
}

/// Adds file and line to an error that knows only the key.
template <class Action>
auto with_place(const hw::JsonNode& document, Action&& action) {
  try {
    return action();
  } catch (const hw::ConfigError& error) {
    if (error.pointer().empty()) throw;
    hw::fail(nearest_node(document, error.pointer()), error.what());
  }
}

}  // namespace

Plan plan(const Experiment& experiment) {
  hw::Topology topology(experiment.cluster);
  ir::Schedule schedule = with_place(experiment.document, [&] {
    return strategy::build_schedule(experiment.model, experiment.workload, experiment.strategy, experiment.routing, topology);
  });
  ir::Instances instances = ir::match_instances(schedule);
  return {std::move(topology), std::move(schedule), std::move(instances)};
}

Forecast forecast(const Experiment& experiment, const sim::SimulateOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  Plan planned = plan(experiment);
  sim::CostModel cost{hw::GpuCostModel(experiment.cluster.gpu), hw::CollectiveModel(experiment.cluster.collectives)};
  sim::SimulationResult result = sim::simulate(planned.schedule, planned.instances, planned.topology, cost, options);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  return {std::move(planned.topology),  std::move(cost),   std::move(planned.schedule),
          std::move(planned.instances), std::move(result), Seconds(wall.count())};
}

}  // namespace fabricast::validation
