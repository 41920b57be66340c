// What to tell the user when nothing can happen any more although ops are left.
#pragma once

#include <string>

#include "sim/meetings.hpp"
#include "sim/op_progress.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

/// One line per rank (the first 16) that has issued an op which cannot start, with the members that have not arrived.
[[nodiscard]] std::string describe_deadlock(const ir::Schedule& schedule, const Meetings& meetings, const OpProgress& progress);

}  // namespace fabricast::sim
