// What happened: when each op of a schedule ran, indexed by the schedule's own op ids. Predicted and measured traces have this one form.
#pragma once

#include <cstdint>
#include <vector>

#include "hardware_models/units.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

/// issued: its stream and edges allow it. start: work begins; for communication, when all members have arrived. start - issued is waiting.
struct OpInterval {
  SimTime issued, start, end;
};

struct Trace {
  std::vector<std::vector<OpInterval>> ops;   // [rank][op]
  [[nodiscard]] const OpInterval& at(Rank rank, OpIndex op) const { return ops[rank.index()][op.index()]; }
};

}  // namespace fabricast::ir
