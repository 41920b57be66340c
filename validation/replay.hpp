// A schedule with known durations: when each op would run if it took exactly so long, whatever ran beside it. Knows no cost model and no
// network: where durations come from a forecast or a measurement, it says what of the step they explain.
#pragma once

#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/trace.hpp"

namespace fabricast::validation {

/// [rank][op]: end - start.
using Durations = std::vector<std::vector<SimTime>>;

/// Of a trace with a row for each rank.
[[nodiscard]] Durations durations_of(const ir::Trace& trace);

/// Ops are issued when those that they wait for have ended, communication starts when all members have arrived, and each op ends one
/// duration after its start. With the durations of a forecast this is the forecast. The schedule must be free of deadlock.
[[nodiscard]] ir::Trace replay(const ir::Schedule& schedule, const ir::Instances& instances, const Durations& durations);

}  // namespace fabricast::validation
