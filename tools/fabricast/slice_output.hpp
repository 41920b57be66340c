// What one rank's computation took when it ran alone on a GPU, for people. Knows no backend.
#pragma once

#include <string>

#include "runtime/executor.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::tools {

/// A line for each label of the rank's ops, in order of first occurrence: how many there are, the median op (p10, p90), and their sum in a
/// step. At most 100 columns.
[[nodiscard]] std::string slice_table(const std::string& experiment, const ir::Schedule& schedule, Rank rank, const runtime::MeasuredRun& run);

}  // namespace fabricast::tools
