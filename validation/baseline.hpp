// A baseline of predicted performance: what experiments are to give, within which tolerance, and where their step's time went when the
// baseline was written. Knows no prediction; regression.hpp holds one against it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/json_node.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::validation {

/// On which side of the baseline's value leaving the tolerance is a regression.
enum class Side : std::uint8_t { lower, upper, both };
[[nodiscard]] std::string_view name_of(Side side);

struct BaselineMetric {
  std::string path;  // of a number in the report's JSON: "tokens_per_second", "memory.peak_bytes"
  double value = 0;
  bool relative = true;  // tolerance: a share of the value, or absolute in its unit
  double tolerance = 0;
  Side side = Side::lower;
};

/// Seconds of the step that a class of ops takes, mean over ranks. Over all classes they sum to the step.
struct ClassTime {
  std::string kind, name;  // kind: computation (busy), exposed communication, idle
  Seconds time;
};

struct BaselineEntry {
  std::string experiment;      // as the file names it
  std::filesystem::path path;  // the same, from the working directory
  std::vector<std::string> sets;
  std::string name;  // empty: the experiment's own
  std::vector<BaselineMetric> metrics;
  std::vector<ClassTime> times;  // empty until the first update
};

struct Baseline {
  std::string schema, comment, source;  // as they stand in the file
  std::vector<BaselineEntry> entries;
};

/// Throws hw::ConfigError.
[[nodiscard]] Baseline load_baseline(const std::filesystem::path& path);

/// The file's text: entries, metrics and classes in their order, one figure a line.
[[nodiscard]] std::string to_json(const Baseline& baseline);

/// Where the step went, from a report's JSON. Throws std::runtime_error where it is none.
[[nodiscard]] std::vector<ClassTime> class_times(const hw::JsonNode& report);

}  // namespace fabricast::validation
