// Rates of flows as whole numbers, so that sums of them do not depend on the order of the terms. Knows no link and no flow.
#pragma once

#include <cstdint>
#include <limits>

#include "hardware_models/units.hpp"

namespace fabricast::sim {

/// In units of 2^-16 bytes/s: fine beside a share of a thousandth of a NIC, and 70 TB/s, the uplinks of a large leaf taken as one, still fit.
using Rate = Quantity<struct RateDimension, std::int64_t>;

constexpr double rate_units_per_byte_per_second = 0x1p16;
constexpr Rate fastest_rate{std::int64_t{1} << 62};
constexpr Rate unlimited_rate{std::numeric_limits<std::int64_t>::max()};

/// Rounded down, so that no flow is faster than its link. At most fastest_rate.
constexpr Rate to_rate(BytesPerSecond rate) {
  const double units = rate.value() * rate_units_per_byte_per_second;
  return units < static_cast<double>(fastest_rate.value()) ? Rate(static_cast<std::int64_t>(units)) : fastest_rate;
}
/// Infinite where nothing limits it.
constexpr BytesPerSecond to_bytes_per_second(Rate rate) {
  if (rate == unlimited_rate) return BytesPerSecond(std::numeric_limits<double>::infinity());
  return BytesPerSecond(static_cast<double>(rate.value()) / rate_units_per_byte_per_second);
}

}  // namespace fabricast::sim
