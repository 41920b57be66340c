// A schedule as JSON, for people and scripts. Programs stand once, ranks as bindings to them. Knows no time and cannot read it back.
#pragma once

#include <string>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

/// Deterministic; one line for each op, buffer, group and rank. A row count is a number where constant, else
/// {"of": "rows_sent", "scale": 1, "layer": 3, "micro_batch": 0, "chunk": 1}. A slice to the end of its buffer has no "rows".
[[nodiscard]] std::string to_json(const Schedule& schedule);

}  // namespace fabricast::ir
