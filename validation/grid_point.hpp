// What came of one point of a grid, as one line of JSON and as the few figures by which points are compared. Knows no file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/units.hpp"
#include "sim/simulate.hpp"
#include "validation/grid.hpp"
#include "validation/report.hpp"

namespace fabricast::validation {

/// Which point it is: its settings as one JSON object, and the fingerprint of all that its forecast depends on.
struct PointKey {
  std::string set, fingerprint;
  friend auto operator<=>(const PointKey&, const PointKey&) = default;
};

struct PointFigures {
  Seconds step;
  double tokens_per_second = 0, mfu = 0, exposed_share = 0;   // exposed: communication that nothing hides over the step
  Bytes peak;
  bool fits = true;
};

struct PointResult {
  PointKey key;
  std::vector<std::string> values;        // by key of the grid, as JSON
  std::optional<PointFigures> figures;    // absent where the configuration forbids the point
  std::string error;                      // then: why
};

/// A point before its forecast. `error`: why it cannot be read, where it cannot.
struct PreparedPoint {
  PointKey key;
  std::optional<std::string> error;
};

struct GridSettings {
  std::vector<std::string> sets;          // of all points, before their own
  sim::SimulateOptions options;
  std::string version;                    // of this program
};

/// Throws hw::ConfigError where a file that the point names cannot be read.
[[nodiscard]] PreparedPoint prepare_point(const Grid& grid, std::size_t point, const GridSettings& settings);

/// {"schema": "fabricast.sweep_point/1", "set": {…}, "fingerprint": "…", "report": {…}} or "error" in place of the report; ends in a newline.
/// A point that cannot be, or is beyond what can be simulated, has an error.
[[nodiscard]] std::string forecast_line(const Grid& grid, std::size_t point, const PreparedPoint& prepared, const GridSettings& settings);

/// Reads such a line; `place` is what errors call it. Throws hw::ConfigError.
[[nodiscard]] PointResult read_point_line(std::string_view line, const std::string& place);

}  // namespace fabricast::validation
