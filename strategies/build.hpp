// The only place where model, workload, strategy, placement and routing meet: builds the schedule of one step. Knows no time.
#pragma once

#include "hardware_models/topology.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/model_spec.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::strategy {

/// The job uses every GPU of the topology, one rank each. Throws hw::ConfigError for inconsistent input. The result is validated.
[[nodiscard]] ir::Schedule build_schedule(const ModelSpec& model, const WorkloadSpec& workload, const StrategySpec& strategy,
                                          const RoutingSpec& routing, const hw::Topology& topology);

}  // namespace fabricast::strategy
