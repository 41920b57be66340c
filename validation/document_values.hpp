// Numbers in a JSON document by dotted path: "collectives.dispatch.seconds" is the field of the entry labelled dispatch. Reports and
// descriptions are read through their own published JSON, so that what can be asked of a report is what cli.md says it holds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "hardware_models/json_node.hpp"

namespace fabricast::validation {

/// The value at the path; the entries of an array are found by their "label", "name" or "axis". Throws std::runtime_error with what there
/// is instead where the path leads nowhere, or to two entries.
[[nodiscard]] const hw::JsonNode& value_at(const hw::JsonNode& document, std::string_view path);

/// The same where a number stands, true being 1 and false 0; throws std::runtime_error where something else stands.
[[nodiscard]] double number_at(const hw::JsonNode& document, std::string_view path);

/// Nothing where the value is no number.
[[nodiscard]] std::optional<double> as_plain_number(const hw::JsonNode& node);

}  // namespace fabricast::validation
