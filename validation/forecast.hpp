// Everything between an experiment and its answer, in one call: topology, schedule, simulation.
#pragma once

#include "hardware_models/topology.hpp"
#include "sim/simulate.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/memory_plan.hpp"
#include "strategies/ir/schedule.hpp"
#include "validation/experiment.hpp"

namespace fabricast::validation {

struct Forecast {
  hw::Topology topology;
  sim::CostModel cost;
  ir::Schedule schedule;
  ir::Instances instances;
  sim::SimulationResult result;
};

/// Throws hw::ConfigError with file and line for inconsistent input.
[[nodiscard]] Forecast forecast(const Experiment& experiment, const sim::SimulateOptions& options);

}  // namespace fabricast::validation
