// A step time below which no simulation falls, for a fraction of what a simulation costs. Knows no events and no routes.
#pragma once

#include <functional>
#include <vector>

#include "hardware_models/topology.hpp"
#include "sim/cost_model.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/rank_classes.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

struct LeastStepOptions {
  bool communication = true;    // false: collectives take no time, so that the result holds for any placement and algorithm
  bool deduplicates = true;     // all-to-alls may send a token once per node: the result holds for any of their algorithms
  double routed_rows = 1.0;     // share of their rows that ops whose size follows the routing are taken to have
};

/// The longest path through the programs, where a computation takes its least time over the ranks that run it, alone on its GPU, and a
/// collective the least byte floor over its groups, less 0.1 %, by which `flow` may be early.
///
/// Why no step at `flow` or `flow_exact` is shorter: along a path, if some rank ends op k no earlier than t, then some rank ends the next one no
/// earlier than t + its least time. Of a computation that is the same rank, since interference only adds. A collective does not start before
/// that rank has arrived, and the last of its members ends no earlier than a floor later. A message is received no earlier than it was
/// sent. `by_size`: ir::classes_by_size.
[[nodiscard]] SimTime least_step(const ir::Schedule& schedule, const ir::Instances& instances, const ir::RankClasses& by_size,
                                 const hw::Topology& topology, const CostModel& cost, LeastStepOptions options = {});

/// By program: the longest path through its ops alone, up to the last computation, by the same times; messages and ops outside `counted` take
/// none. Where a program is repeated on the same streams, each repetition takes at least this after the one before it.
[[nodiscard]] std::vector<SimTime> least_chains(const ir::Schedule& schedule, const ir::RankClasses& by_size, const hw::Topology& topology,
                                                const CostModel& cost, LeastStepOptions options, const std::function<bool(const ir::Op&)>& counted);

}  // namespace fabricast::sim
