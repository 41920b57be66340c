// Everything between an experiment and its answer, in one call: topology, schedule, simulation.
#pragma once

#include "hardware_models/topology.hpp"
#include "sim/simulate.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/memory_plan.hpp"
#include "strategies/ir/schedule.hpp"
#include "validation/experiment.hpp"

namespace fabricast::validation {

/// What will run where, before anything runs.
struct Plan {
  hw::Topology topology;
  ir::Schedule schedule;
  ir::Instances instances;
};

struct Forecast {
  hw::Topology topology;
  sim::CostModel cost;
  ir::Schedule schedule;
  ir::Instances instances;
  sim::SimulationResult result;
  Seconds wall;                   // that planning and simulating took on this machine
};

/// Throws hw::ConfigError with file and line for inconsistent input.
[[nodiscard]] Plan plan(const Experiment& experiment);
[[nodiscard]] Forecast forecast(const Experiment& experiment, const sim::SimulateOptions& options);

}  // namespace fabricast::validation
