// Two traces of one schedule held against each other: a forecast and a measurement, or two forecasts. A join by op id. Knows not how
// either trace came about.
#pragma once

#include <string>
#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/trace.hpp"

namespace fabricast::validation {

/// Durations (end - start) of one class of ops; means over ranks.
struct ClassComparison {
  std::string label, kind;
  Seconds predicted, measured;
  double error = 0;            // predicted / measured - 1; 0 where both are 0
  double op_error = 0;         // Σ |predicted - measured| / Σ measured over single ops: errors do not cancel
};

struct TraceComparison {
  Seconds predicted_step, measured_step;
  double step_error = 0;       // predicted / measured - 1
  double op_error = 0;         // over all ops: a step that is right because two op errors cancel shows here
  std::vector<ClassComparison> classes;   // computation, then communication, each in order of first appearance
};

/// Both traces have an interval for every op of the schedule; throws std::invalid_argument otherwise.
[[nodiscard]] TraceComparison compare_traces(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& predicted,
                                             const ir::Trace& measured);

}  // namespace fabricast::validation
