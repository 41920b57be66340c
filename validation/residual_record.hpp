// Turns the residuals of held-out rows into the record that a profile keeps: errors, domain, and regions with their 80 % intervals. Knows
// no fit and no model.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "hardware_models/calibration_record.hpp"

namespace fabricast::validation {

/// One held-out row: where it lies, and measured / predicted.
struct HeldOutRow {
  double size;                                // rows of a kernel, bytes of a collective
  double ratio;                               // measured / predicted
  int fold;                                   // rows of one fold were left out of the fit together
  std::string family;
  std::multimap<std::string, double> dimensions;   // several of one name where the row times several kernels
};

/// Up to six regions of ascending size, 30 rows or more in each where there are as many. The interval of n ratios runs from the
/// ⌊(n + 1) / 10⌋-th smallest to its mirror image, so that a further ratio lies inside with probability 0.8 (order statistics); fewer than
/// nine rows give all they have. Throws std::invalid_argument without rows.
[[nodiscard]] std::vector<hw::CalibratedRegion> regions_of(std::vector<std::pair<double, double>> size_and_ratio);

/// The region that holds `size`, or the nearest one. `regions` must not be empty.
[[nodiscard]] const hw::CalibratedRegion& nearest_region(const std::vector<hw::CalibratedRegion>& regions, double size);

/// `coverage` is found fold by fold: intervals from the other folds' rows, tried on this one's.
[[nodiscard]] hw::CalibratedKind record_of(const std::string& kind, const std::vector<HeldOutRow>& rows, bool held_out);

}  // namespace fabricast::validation
