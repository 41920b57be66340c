// An execution in the forms that reports and traces take: the same as a forecast's, marked measured. Knows no backend.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/executor.hpp"
#include "runtime/numerics.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/report.hpp"

namespace fabricast::validation {

/// What the schedule was made for, as the check of the numbers takes it.
[[nodiscard]] runtime::Problem problem_of(const Experiment& experiment);

/// The node of each rank on the modelled cluster.
[[nodiscard]] std::vector<NodeId> nodes_of(const Plan& plan);

struct Measurement {
  std::string backend;                  // "host", "mpi", "cuda"
  runtime::RunOptions options;
  runtime::MeasuredRun run;
  std::optional<runtime::Numerics> numerics;
  bool on_modelled_cluster = false;     // ran on the GPUs and links that the experiment names: only then do their peaks and floors apply
};

/// The timed step of median length.
[[nodiscard]] Forecast median_step(const Experiment& experiment, Plan plan, const runtime::MeasuredRun& run);

/// Source "measured". Times and classes are of the median step, spreads over all ranks, ops of a class and timed steps. Peaks, MFU, links
/// and floors are 0 unless the run was on the modelled cluster; memory is the fullest rank's arena against its share of the machine's.
[[nodiscard]] Report summarize(const Experiment& experiment, const Forecast& median, const Measurement& measurement);

}  // namespace fabricast::validation
