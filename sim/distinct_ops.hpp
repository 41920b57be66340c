// Ops of a program that mean the same on every rank: the same work, of routing steps that deal alike. Knows no time.
#pragma once

#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

/// By op of the program: the first op of its kind.
[[nodiscard]] std::vector<ir::OpIndex> first_alike(const ir::Schedule& schedule, const ir::Program& program);
/// The first op of each kind, in program order.
[[nodiscard]] std::vector<ir::OpIndex> distinct_ops(const ir::Schedule& schedule, const ir::Program& program);

}  // namespace fabricast::sim
