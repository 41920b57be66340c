// Predictions held against a baseline, or against the reports of another revision: which metrics left their tolerance, what moved, and
// which ops moved it. Knows reports as JSON, no simulation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hardware_models/json_node.hpp"
#include "validation/baseline.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

struct MetricChange {
  BaselineMetric metric;  // value: what it is held against
  double now = 0;
  bool moved = false;  // by more than a part in a million
  bool regressed = false;
};

struct ClassChange {
  std::string kind, name;
  Seconds before, now;
};

struct ExperimentCheck {
  std::string name, experiment;
  std::vector<MetricChange> metrics;
  std::vector<ClassChange> classes;  // those that moved, the largest change first
  Seconds step_change;               // sum over all classes
  bool held = true;                  // false: there is nothing to hold it against (a new experiment)
};

struct Regression {
  std::string against;  // "the baseline", or the folder of reports
  std::vector<ExperimentCheck> experiments;

  [[nodiscard]] bool regressed() const;
};

/// `before`: the report of the other revision; without it the baseline's own figures count. Throws hw::ConfigError where a report has no
/// such metric.
[[nodiscard]] ExperimentCheck check_experiment(const BaselineEntry& entry, const std::string& name, const hw::JsonNode& now,
                                               const hw::JsonNode* before);

[[nodiscard]] std::string summary(const Regression& regression, TextStyle style);
[[nodiscard]] std::string to_markdown(const Regression& regression);

/// A test suite per experiment, a test case per metric.
[[nodiscard]] std::string to_junit(const Regression& regression);

/// The JSON of schema "fabricast.check/1", ending in a newline.
[[nodiscard]] std::string to_json(const Regression& regression);

}  // namespace fabricast::validation
