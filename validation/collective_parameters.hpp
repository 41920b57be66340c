// The constants of a library's profile that a fit to measured collectives may move: where each stands in the profile, its bounds, and how it
// gets into a CollectiveSpec. Knows of the measurements only what they are of.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

struct CollectiveParameter {
  enum class Form : std::uint8_t { share, seconds, bytes, rate };   // how the profile writes it: 0.85, "1.2 us", "26.7 kB", "52.7 GB/s"
  std::vector<std::string> pointers;   // in the profile; several where one constant stands in several places
  Form form;
  double least, most, step;
  double typical;                      // of GPU nodes, a second place to start from
  std::function<double(const hw::CollectiveSpec&)> get;
  std::function<void(hw::CollectiveSpec&, double)> set;
};

/// Those that these rows can say something of, in order of weight, so that few rows fit the first ones only. Of a profile with kernels: the
/// constants of tools/calibration/fit_in_node.py and, with rows from several nodes, of fit_across_nodes.py. Of a profile by kind: a latency of
/// each kind and of a step, and the share of the link that each kind reaches among each number of members.
[[nodiscard]] std::vector<CollectiveParameter> collective_parameters(const hw::CollectiveSpec& base, const std::vector<CollectiveMeasurement>& rows);

/// As the profile writes it: a number, or text with a unit.
[[nodiscard]] std::string profile_value(const CollectiveParameter& parameter, double value);

}  // namespace fabricast::validation
