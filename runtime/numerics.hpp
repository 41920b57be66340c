// Did a run compute the right numbers? Its logits, shard by shard, against the reference's. Knows no executor and no strategy.
#pragma once

#include <cstdint>

#include "runtime/executor.hpp"
#include "runtime/reference.hpp"

namespace fabricast::runtime {

/// What the schedule was made for, in the model's own terms.
struct Problem {
  ModelShape model;
  std::int64_t sequences = 0, sequence_length = 0;       // of the whole job
  std::int64_t micro_batches = 1;
  bool head_on_all_tokens = true;
};

struct Numerics {
  double max_relative_error = 0.0;                       // largest |logit - reference| over the largest |reference| of all logits
  double tolerance = 0.0;
  bool passed = false;  // within tolerance, every logit compared, and repeated runs of the step agree in every bit
};

/// Bound on max_relative_error by storage precision and number of layers.
[[nodiscard]] double tolerance_of(hw::Precision precision, std::int64_t layers);

/// What the reference of such a problem takes on one core of today, roughly: it computes in fp64, and makes every weight anew.
[[nodiscard]] Seconds time_of_reference(const Problem& problem);

/// Throws BackendUnavailable where that is longer than anyone waits for: to be asked before a run whose results wait for the check.
void require_checkable(const Problem& problem);

/// `run` must have kept its logits, of the same seed. Throws std::logic_error where logits are missing or have other sizes than the
/// problem's.
[[nodiscard]] Numerics check_numerics(const ir::Schedule& schedule, const MeasuredRun& run, const Problem& problem, std::uint64_t seed);

}  // namespace fabricast::runtime
