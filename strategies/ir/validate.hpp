// Is a schedule well formed? Every message names rank, op and what is wrong with it.
#pragma once

#include <stdexcept>
#include <string>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

class ScheduleError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "rank 17, op 42 (layer 3 / dispatch)".
[[nodiscard]] std::string describe(const Schedule& schedule, Rank rank, OpIndex op);

/// Checks ids in range, edges that point backwards, computation on stream 0 only, buffers written before they are read, accesses to one
/// buffer ordered by streams and edges, groups that agree with their members' bindings, collectives that match across members in kind,
/// type and counts, sends with receives of equal size. Throws ScheduleError.
void validate(const Schedule& schedule);

}  // namespace fabricast::ir
