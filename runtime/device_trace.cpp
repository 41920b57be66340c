#include "runtime/device_trace.hpp"

#include <algorithm>

namespace fabricast::runtime {

ir::Trace assemble_trace(const ir::Schedule& schedule, std::span<const IssueUnit> units,
                         const std::vector<std::vector<OpStamps>>& stamps) {
  ir::Trace trace;
  std::vector<std::vector<SimTime>> stream_free(schedule.ranks.size());
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const ir::Program& program = schedule.program_of(Rank{static_cast<std::int32_t>(r)});
    trace.ops.emplace_back(program.ops.size());
    stream_free[r].resize(std::max<std::size_t>(program.streams.size(), 1));
  }
  for (const IssueUnit& unit : units) {
    SimTime start;
    for (const auto& [rank, op] : unit.members) {
      const ir::Op& what = schedule.program_of(rank).ops[op.index()];
      ir::OpInterval& interval = trace.ops[rank.index()][op.index()];
      interval.issued = stream_free[rank.index()][what.stream.index()];
      for (const ir::OpIndex earlier : what.after) interval.issued = std::max(interval.issued, trace.at(rank, earlier).end);
      start = std::max({start, interval.issued, stamps[rank.index()][op.index()].reached});
    }
    for (const auto& [rank, op] : unit.members) {
      ir::OpInterval& interval = trace.ops[rank.index()][op.index()];
      interval.start = start;
      interval.end = std::max(start, stamps[rank.index()][op.index()].done);
      stream_free[rank.index()][schedule.program_of(rank).ops[op.index()].stream.index()] = interval.end;
    }
  }
  return trace;
}

}  // namespace fabricast::runtime
