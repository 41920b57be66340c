// From time stamps that device queues took to a trace. Knows no devices: stamps are arguments.
#pragma once

#include <span>
#include <vector>

#include "runtime/issue_order.hpp"
#include "strategies/ir/trace.hpp"

namespace fabricast::runtime {

/// When the queue came to the op (all that it waits for had ended), and when it had done it; on one clock for all ranks, from the step's
/// beginning.
struct OpStamps {
  SimTime reached, done;
};

/// stamps[rank][op]; ranks without stamps keep zeros. An op is issued when its stream and edges have ended, and starts when its queue came
/// to it; communication, when the last member's did. Stamps of neighbouring ops may overlap by the clock's resolution, or that of aligned
/// clocks: then the later one is moved.
[[nodiscard]] ir::Trace assemble_trace(const ir::Schedule& schedule, std::span<const IssueUnit> units,
                                       const std::vector<std::vector<OpStamps>>& stamps);

}  // namespace fabricast::runtime
