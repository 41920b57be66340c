// Reports side by side; the first is the baseline. Knows reports only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "validation/report.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

/// One setting of a sweep, and what came of it.
struct SweepPoint {
  std::vector<std::string> sets;          // "workload.micro_batches=4"
  std::optional<Report> report;           // absent where the setting is not possible
  std::string error;                      // then: why
};

struct Sweep {
  std::vector<SweepPoint> points;
  std::size_t best = 0;
};

/// The point with most tokens per second among those that fit in memory; among all where none fits. Nothing where no point is possible.
[[nodiscard]] std::optional<std::size_t> best_point(const std::vector<SweepPoint>& points);

struct Comparison {
  std::vector<Report> reports;            // at least one
  std::optional<Sweep> baseline_sweep;    // the settings of the baseline that were tried; reports[0] is the best
};

/// Tokens per second over the baseline's, by report; 1 for the baseline.
[[nodiscard]] std::vector<double> speedups(const Comparison& comparison);

/// Seconds of the step that a class of ops takes in each report. Over all classes they sum to the step.
struct TimeClass {
  std::string name, kind;                 // kind: computation, exposed communication, idle
  std::vector<Seconds> time;              // by report; computation: busy
};
/// In order of first appearance; classes of one label are one, whatever their op kind.
[[nodiscard]] std::vector<TimeClass> time_by_class(const std::vector<Report>& reports);

[[nodiscard]] std::string summary(const Comparison& comparison, TextStyle style);

/// The JSON of schema "fabricast.comparison/1", ending in a newline.
[[nodiscard]] std::string to_json(const Comparison& comparison);

}  // namespace fabricast::validation
