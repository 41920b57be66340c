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

/// Ranks to which the same happens at the same time may share a row.
struct Trace {
  std::vector<std::vector<OpInterval>> ops;   // [row][op]
  std::vector<std::int32_t> row_of{};         // by Rank; rows are numbered in the order of their first ranks. Empty: ops is [rank][op]

  [[nodiscard]] std::size_t row(Rank rank) const { return row_of.empty() ? rank.index() : static_cast<std::size_t>(row_of[rank.index()]); }
  [[nodiscard]] const OpInterval& at(Rank rank, OpIndex op) const { return ops[row(rank)][op.index()]; }
};

/// The same with a row for each rank.
[[nodiscard]] Trace of_each_rank(Trace trace);

}  // namespace fabricast::ir
