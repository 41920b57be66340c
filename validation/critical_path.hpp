// The critical path of a step: from its last op back, each time to what that op waited for. Pure; the same for predicted and measured
// traces. Knows no cost model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/trace.hpp"

namespace fabricast::validation {

/// A piece of the path: an op, or time in which the path waits although everything that the next op needs has ended (a measured step's
/// launches and host; a forecast has none).
struct PathPiece {
  Rank rank;
  std::optional<ir::OpIndex> op;   // absent: waiting
  SimTime start, end;
};

/// From the step's start to its end without gap or overlap. An op waits for the last of the ops before it to end, by stream or edge; a
/// communication op for its last member to arrive as well, and the path goes on there. Ties: the op's own rank, then the lowest op.
[[nodiscard]] std::vector<PathPiece> critical_path(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& trace);

}  // namespace fabricast::validation
