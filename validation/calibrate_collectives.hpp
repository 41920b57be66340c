// Fits the communication library's profile to measured collectives, and finds how far the fit is from those that it had not seen. Knows no
// files: profile_writer.hpp makes the profile, read_measurements.hpp reads the rows.
#pragma once

#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "validation/agreement.hpp"
#include "validation/collective_parameters.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

/// A constant after the fit.
struct FittedCollectiveConstant {
  CollectiveParameter parameter;
  double before, value, standard_error;
  bool determined = true;                 // false: the rows say next to nothing of it, or push it out of its bounds, and it stayed where it was
};

/// What was left out of a fit together: an operation among a number of GPUs or, where the constants are that operation's own, some of its sizes.
enum class LeftOut : std::uint8_t { groups, sizes };

struct CollectiveCalibration {
  hw::CollectiveSpec collectives;         // with its calibration record
  std::vector<FittedCollectiveConstant> constants;
  std::size_t rows = 0;                   // fitted and judged
  LeftOut left_out = LeftOut::groups;
  std::vector<AgreementRow> held_out;     // each row predicted, through the simulator, by a fit without what was left out with it
};

/// Huber least squares of log(predicted / measured) within bounds, latencies >= 0 and shares in (0, 1], all constants of the profile at once,
/// from those of `cluster.collectives` on; predictions as lone_collective.hpp. Rows below 4 KiB are left aside: they show the start-up that
/// 4 KiB shows too, and would be as many as all others. Throws hw::ConfigError without rows, where the cluster cannot hold a row's group, and
/// where a kind's times are off by a factor of 100 in the median, as in a wrong unit.
[[nodiscard]] CollectiveCalibration calibrate_collectives(const hw::ClusterSpec& cluster, const Measurements& measurements);

}  // namespace fabricast::validation
