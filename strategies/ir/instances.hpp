// Which ops meet: the k-th collective on a group in every member's program is one instance; send and receive match first-in first-out by
// (source, destination, tag). Pure; used by validation, the simulator and the reports alike.
#pragma once

#include <cstdint>
#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

using InstanceId = Id<struct InstanceMeaning>;

struct InstanceMember {
  Rank rank;
  OpIndex op;
};

/// Members in group order; for send/recv: the sender, then the receiver.
struct Instance {
  std::vector<InstanceMember> members;
};

struct Instances {
  std::vector<Instance> all;
  std::vector<std::vector<InstanceId>> of;  // [program-op order of the rank] by rank and op; -1 where the op is computation

  [[nodiscard]] InstanceId at(Rank rank, OpIndex op) const { return of[rank.index()][op.index()]; }
};

/// Throws ScheduleError (validate.hpp) naming rank and op where members disagree or an op stays unmatched.
[[nodiscard]] Instances match_instances(const Schedule& schedule);

}  // namespace fabricast::ir
