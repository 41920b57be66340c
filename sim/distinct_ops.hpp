// Ops of a program that mean the same on every rank: the same work, of routing steps that deal alike. Knows no time.
#pragma once

#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

/// The first op of each kind of work in the program, in program order.
[[nodiscard]] std::vector<ir::OpIndex> distinct_ops(const ir::Schedule& schedule, const ir::Program& program);

}  // namespace fabricast::sim
