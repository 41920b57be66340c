// Writing JSON: how a string and a number look in it. Knows no document; writers compose these.
#pragma once

#include <string>
#include <string_view>

namespace fabricast::hw {

/// The text in double quotes; quotes, backslashes and control characters escaped (RFC 8259, section 7), other bytes as they are.
[[nodiscard]] std::string json_quote(std::string_view text);

/// The shortest decimal that reads back as the same double. JSON has no infinities: throws std::invalid_argument for those and for NaN.
[[nodiscard]] std::string json_number(double value);

}  // namespace fabricast::hw
