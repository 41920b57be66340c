// A sweep's points side by side: the best, how many cannot be and why.
#pragma once

#include <string>
#include <vector>

#include "validation/grid_point.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

struct GridSummary {
  std::string experiment;
  std::vector<std::string> keys;
  std::vector<PointResult> points;        // in the grid's order
  std::size_t taken_from_file = 0;        // forecast by an earlier run
};

/// Places in `points` of those that can be: those that fit in memory first, then by tokens per second, then by their place.
[[nodiscard]] std::vector<std::size_t> ranking(const std::vector<PointResult>& points);

/// Why points cannot be, and how many for that reason: the commonest first.
struct Reason {
  std::string text;
  std::size_t points = 0;
};
[[nodiscard]] std::vector<Reason> reasons(const std::vector<PointResult>& points);

/// The best `top` of them in a table.
[[nodiscard]] std::string summary(const GridSummary& sweep, std::size_t top, TextStyle style);

/// The JSON of schema "fabricast.sweep/1", ending in a newline; all that can be are ranked.
[[nodiscard]] std::string to_json(const GridSummary& sweep);

}  // namespace fabricast::validation
