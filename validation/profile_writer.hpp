// Writes a profile: the base's JSON with the fitted constants in their places, and the calibration record with its provenance. Knows no
// fit.
#pragma once

#include <string>
#include <vector>

#include "hardware_models/calibration_record.hpp"
#include "hardware_models/json_node.hpp"

namespace fabricast::validation {

/// For people, and to do it again.
struct Provenance {
  std::string command, date, machine;
  std::vector<std::string> inputs;
};

/// A value to write at a JSON pointer; missing members of objects are added, array elements must exist.
struct ProfileChange {
  std::string pointer;
  std::variant<double, std::int64_t, std::string> value;
};

/// Two significant digits beyond what a fit determines: "1.234 us".
[[nodiscard]] std::string duration_text(double seconds);
/// "90 GB/s".
[[nodiscard]] std::string rate_text(double bytes_per_second);
[[nodiscard]] std::string bytes_text(double bytes);

/// `base` with the changes and "calibration" replaced. Everything else is kept as it is, in its order.
[[nodiscard]] std::string profile_text(const hw::JsonNode& base, const std::vector<ProfileChange>& changes, const hw::CalibrationRecord& record,
                                       const Provenance& provenance);

/// `base` with the changes, and nothing else.
[[nodiscard]] std::string changed_text(const hw::JsonNode& base, const std::vector<ProfileChange>& changes);

}  // namespace fabricast::validation
