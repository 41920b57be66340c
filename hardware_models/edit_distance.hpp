// Which known word an unknown one was meant to be. Knows no file format.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fabricast::hw {

/// The candidate nearest to `word` by edit distance (insert, delete, replace, swap neighbours; upper and lower case count as equal until
/// candidates tie), if near enough to be what was meant. Failing that, the one candidate that `word` begins.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace fabricast::hw
