// A forecast held against a measured step: how wrong each class of ops is, where the error of the step comes from, and what of it would
// remain if a class were exact. A join by op id. Knows not how either trace came about.
#pragma once

#include <string>
#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/trace.hpp"
#include "validation/text.hpp"
#include "validation/trace_comparison.hpp"

namespace fabricast::validation {

struct ClassValidation {
  ClassComparison busy;            // durations; means over ranks
  bool communicates = false;
  Seconds predicted, measured;     // of the step: computation busy, communication exposed; means over ranks
  double remaining_error = 0;      // of the step if this class took as long as measured, the others as predicted
};

/// predicted - measured of all classes and of idle sums to that of the step.
struct TraceValidation {
  std::string experiment, backend;
  TraceComparison comparison;
  std::vector<ClassValidation> classes;     // computation, then communication, each in order of first appearance
  Seconds predicted_idle, measured_idle;
  double unexplained_error = 0;             // of the step if every op took as long as measured: what host and launches add between ops
};

/// Both traces have an interval for every op; throws std::invalid_argument otherwise.
[[nodiscard]] TraceValidation validate_trace(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& predicted,
                                             const ir::Trace& measured);

[[nodiscard]] std::string summary(const TraceValidation& validation, TextStyle style);

/// The JSON of schema "fabricast.trace_validation/1", ending in a newline.
[[nodiscard]] std::string to_json(const TraceValidation& validation);

}  // namespace fabricast::validation
