// How far a forecast may be off, from the residuals that a fit left behind in the profile. Knows no fit and no simulation: it is given a
// schedule and the trace that was predicted for it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hardware_models/calibration_record.hpp"
#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/kernels.hpp"
#include "validation/report.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

/// What measured / predicted lies between in four of five cases, and why one thinks so.
struct RatioInterval {
  double low = 1.0, high = 1.0;
  std::string calibrated_as;             // kind of the record
  std::vector<std::string> outside;      // where the work leaves the record's domain: "n = 51200, fitted up to 16384"
  std::optional<double> coverage{};      // share of left-out rows that the record's intervals held; nothing where no family was left out
};

/// By the record of the kernel's own kind, else of its like: fp16 and bf16 stand for each other, and a fused MoE layer for the grouped
/// GEMM, permutation and weighted sum that it was timed with. Nothing where neither was measured.
[[nodiscard]] std::optional<RatioInterval> ratio_interval(const hw::CalibrationRecord& record, const hw::Kernel& kernel);

/// Of a collective: `kind` as reports write it, bytes S of collectives.hpp. Nothing where the kind was not measured.
[[nodiscard]] std::optional<RatioInterval> ratio_interval(const hw::CalibrationRecord& record, const std::string& kind, double bytes,
                                                          double members);

/// One class's time on the critical path, and its ratio where it is known.
struct PathShare {
  std::string label;
  Seconds time;
  std::optional<RatioInterval> ratio;
};

/// Classes judged by one kind err together (the model is wrong in the same way for all of them), kinds err independently:
/// step + Σ t·(middle − 1) ± sqrt(Σ over kinds (Σ t·half-width)²), with the path as it is.
[[nodiscard]] StepErrorBar step_error_bar(Seconds step, const std::vector<PathShare>& path);

/// Fills the error bars of `report`, whose classes, collectives and critical path are complete. A class takes the mean of its ops'
/// intervals, weighted by time; shapes are those of each program's first rank. Nothing to do where the profiles carry no record.
void fill_error_bars(Report& report, const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes,
                     const hw::ClusterSpec& cluster);

}  // namespace fabricast::validation
