// Reads a resolved kernel from JSON: the form that strategies/ir/work_json.hpp writes, row counts as numbers and the rows of a grouped
// GEMM as a list. Knows no times.
#pragma once

#include "hardware_models/json_reader.hpp"
#include "hardware_models/kernels.hpp"

namespace fabricast::validation {

/// Throws hw::ConfigError for an unknown kind, missing or unknown keys, and sizes out of range.
[[nodiscard]] hw::Kernel read_kernel(const hw::JsonNode& node);

}  // namespace fabricast::validation
