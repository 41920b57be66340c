#include "validation/forecast.hpp"

#include <chrono>
#include <utility>

#include "strategies/build.hpp"

namespace fabricast::validation {

namespace {

hw::Topology build_topology(const Experiment& experiment) {
  try {
    return hw::Topology(experiment.cluster);
  } catch (const hw::ConfigError& error) {
    rethrow_with_place(error, experiment.document);
  }
}

/// The schedule; errors that know only the key get file and line.
ir::Schedule build(const Experiment& experiment, const hw::Topology& topology) {
  try {
    return strategy::build_schedule(experiment.model, experiment.workload, experiment.strategy, experiment.routing, topology);
  } catch (const hw::ConfigError& error) {
    rethrow_with_place(error, experiment.document);
  }
}

}  // namespace

Plan plan(const Experiment& experiment) {
  hw::Topology topology = build_topology(experiment);
  ir::Schedule schedule = build(experiment, topology);
  ir::Instances instances = ir::match_instances(schedule);
  return {std::move(topology), std::move(schedule), std::move(instances)};
}

Forecast forecast(const Experiment& experiment, const sim::SimulateOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  Plan planned = plan(experiment);
  sim::CostModel cost = sim::cost_model(experiment.cluster);
  sim::SimulationResult result = sim::simulate(planned.schedule, planned.instances, planned.topology, cost, options);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  return {std::move(planned.topology),  std::move(cost),   std::move(planned.schedule),
          std::move(planned.instances), std::move(result), Seconds(wall.count())};
}

}  // namespace fabricast::validation
