// From the traces of repeated steps to medians and spreads. Knows no threads and no devices.
#pragma once

#include <vector>

#include "runtime/executor.hpp"

namespace fabricast::runtime {

/// Nearest-rank percentiles: the smallest sample with at least 10 % (50 %, 90 %) of all at or below it. At least one sample.
[[nodiscard]] Spread spread_of(std::vector<Seconds> samples);

/// From 0 to the end of the last op.
[[nodiscard]] Seconds length_of(const ir::Trace& step);

/// Spread of end - start of every op over the steps, [rank][op].
[[nodiscard]] std::vector<std::vector<Spread>> op_spreads(const std::vector<ir::Trace>& steps);

}  // namespace fabricast::runtime
