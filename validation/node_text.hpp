// A JSON value back as text. Knows no document.
#pragma once

#include <string>

#include "hardware_models/json_node.hpp"

namespace fabricast::validation {

/// In one line, keys in their order.
[[nodiscard]] std::string one_line_text(const hw::JsonNode& node);

/// What the value means, whatever its layout: keys sorted, annotations ("$schema", "comment", "source") left out.
[[nodiscard]] std::string canonical_text(const hw::JsonNode& node);

}  // namespace fabricast::validation
