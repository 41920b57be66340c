// What a fit says to people and writes into the profile: tables of constants and residuals, changes to the base with their sources. Knows no
// files and no fitting.
#pragma once

#include <string>
#include <vector>

#include "hardware_models/json_node.hpp"
#include "validation/calibrate_collectives.hpp"
#include "validation/calibrate_gpu.hpp"
#include "validation/profile_writer.hpp"

namespace fabricast::validation {

[[nodiscard]] std::string constants_table(const GpuCalibration& fit);
[[nodiscard]] std::string constants_table(const CollectiveCalibration& fit);

/// Errors of left-out rows by kind, and how often the 80 % intervals held.
[[nodiscard]] std::string kinds_table(const hw::CalibrationRecord& record);

/// `base` is the profile that the fit started from; a profile of another `name` (empty: none) is of another chip, and says so. Groups whose
/// constants moved have a source that says how, from which rows, and how far off it is. `date` is ISO 8601.
[[nodiscard]] std::vector<ProfileChange> changes_of(const GpuCalibration& fit, const hw::JsonNode& base, const std::string& name,
                                                    const std::string& date);
[[nodiscard]] std::vector<ProfileChange> changes_of(const CollectiveCalibration& fit, const hw::JsonNode& base, const std::string& date);

}  // namespace fabricast::validation
