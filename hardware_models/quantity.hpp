// The one parser of quantities with units, for files and flags alike: "400 Gbit/s", "80 GiB", "1.5 us", "989.4 TFLOP/s".
#pragma once

#include <stdexcept>
#include <string_view>

#include "hardware_models/units.hpp"

namespace fabricast::hw {

/// What is wrong and what would be right, without the text itself and without a place: the caller adds them.
class QuantityError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A decimal number, optional blanks, a unit; case matters (b is no byte). Negative, non-finite and overflowing values are errors.
/// Rounded once: the result is the representable value nearest to what was written, and bytes are exact where they are whole.
[[nodiscard]] Bytes parse_bytes(std::string_view text);                    // B, kB, MB, GB, TB, KiB, MiB, GiB, TiB
[[nodiscard]] Seconds parse_duration(std::string_view text);               // ps, ns, us, ms, s
[[nodiscard]] BytesPerSecond parse_bandwidth(std::string_view text);       // <bytes>/s, or bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s
[[nodiscard]] FlopPerSecond parse_flop_rate(std::string_view text);        // FLOP/s, GFLOP/s, TFLOP/s, PFLOP/s

}  // namespace fabricast::hw
