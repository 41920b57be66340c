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
/// ⌊tail · (n + 1)⌋-th smallest to its mirror image, so that a further ratio that is like them lies inside with probability 1 - 2 · tail
/// (order statistics); fewer than 1 / tail - 1 rows give all they have. Throws std::invalid_argument without rows.
[[nodiscard]] std::vector<hw::CalibratedRegion> regions_of(std::vector<std::pair<double, double>> size_and_ratio, double tail = 0.1);

/// The region that holds `size`, or the nearest one. `regions` must not be empty.
[[nodiscard]] const hw::CalibratedRegion& nearest_region(const std::vector<hw::CalibratedRegion>& regions, double size);

/// The tail is the one, a tenth at most, by which intervals from the other folds come nearest to holding four in five rows of a fold.
/// `coverage` is found fold by fold, with intervals and tail from the other folds alone.
[[nodiscard]] hw::CalibratedKind record_of(const std::string& kind, const std::vector<HeldOutRow>& rows, bool held_out);

}  // namespace fabricast::validation
