// Reads and describes the "calibration" member of a profile. Knows no fit.
#pragma once

#include "hardware_models/calibration_record.hpp"
#include "hardware_models/json_node.hpp"

namespace fabricast::hw {

/// Throws ConfigError for anything missing, unknown or out of range; provenance (command, date, inputs, machine) is checked and for people.
[[nodiscard]] CalibrationRecord read_calibration(const JsonNode& node);

}  // namespace fabricast::hw
