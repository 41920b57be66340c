// A forecast held against the measured ops of one rank: its computation, class by class, where the other ranks were not measured (a slice on
// one GPU) or their traces are not at hand. Knows not how either came about.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strategies/ir/schedule.hpp"
#include "strategies/ir/trace.hpp"
#include "validation/measured_trace.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

/// Ops of one label and kind that the rank computes in a step.
struct RankClass {
  std::string label, kind;
  std::int64_t count = 0;
  Seconds predicted, measured;   // summed over the ops; measured: of each op the median over the timed steps
  double error = 0;              // predicted / measured - 1; 0 where both are 0
  double op_error = 0;           // Σ |predicted - measured| / Σ measured over single ops: errors do not cancel
};

struct RankValidation {
  std::string experiment, backend;
  Rank rank;
  std::vector<RankClass> classes;   // in order of first appearance
  RankClass all;                    // without label and kind
};

/// The rank whose ops are all that the trace holds, where the run had others; nothing if it holds several ranks' or the only one's.
[[nodiscard]] std::optional<Rank> only_rank(const MeasuredTrace& trace);

/// Communication, which a slice leaves out, is left out. Throws hw::ConfigError where the records are not those of the rank's ops, and
/// std::invalid_argument where `predicted` lacks one.
[[nodiscard]] RankValidation validate_rank(const ir::Schedule& schedule, const ir::Trace& predicted, const MeasuredTrace& measured, Rank rank);

[[nodiscard]] std::string summary(const RankValidation& validation, TextStyle style);

/// The JSON of schema "fabricast.rank_validation/1", ending in a newline.
[[nodiscard]] std::string to_json(const RankValidation& validation);

}  // namespace fabricast::validation
