// In which order one thread hands the ops of its ranks to device queues. Knows no devices and no times.
#pragma once

#include <span>
#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::runtime {

/// What is issued together: one computation, or one communication for all of its members among the ranks, in group order.
struct IssueUnit {
  std::vector<ir::InstanceMember> members;
};

/// Every op of the ranks once; each stream in order and no op before what it waits for. Of a single rank: program order, as a library that
/// matches by order of calls needs it. Throws ExecutionError where no order exists, naming the ops that wait for each other.
[[nodiscard]] std::vector<IssueUnit> issue_order(const ir::Schedule& schedule, const ir::Instances& instances, std::span<const Rank> ranks);

}  // namespace fabricast::runtime
