#include "validation/critical_path.hpp"

#include <algorithm>

#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

struct OpRef {
  Rank rank;
  ir::OpIndex op;
};

/// By op: what it waits for on its own rank.
using Predecessors = std::vector<std::vector<ir::OpIndex>>;

Predecessors predecessors_of(const ir::Program& program) {
  Predecessors before(program.ops.size());
  std::vector<std::optional<ir::OpIndex>> last(program.streams.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    before[i] = program.ops[i].after;
    auto& previous = last[program.ops[i].stream.index()];
    if (previous) before[i].push_back(*previous);
    previous = ir::OpIndex{static_cast<std::int32_t>(i)};
    std::sort(before[i].begin(), before[i].end());
  }
  return before;
}

class PathWalk {
 public:
  PathWalk(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& trace)
      : schedule_(schedule), instances_(instances), trace_(trace), step_(step_of(trace)), cursor_(step_.end) {
    for (const ir::Program& program : schedule.programs) predecessors_.push_back(predecessors_of(program));
  }

  std::vector<PathPiece> run() {
    for (std::optional<OpRef> at = last_op(); at;) {
      take(at->rank, std::nullopt, interval(*at).end);
      take(at->rank, at->op, interval(*at).start);
      const OpRef arrived = last_to_arrive(*at);
      take(at->rank, std::nullopt, interval(arrived).issued);
      at = last_before(arrived);
      if (!at) take(arrived.rank, std::nullopt, step_.start);
    }
    std::reverse(pieces_.begin(), pieces_.end());
    return std::move(pieces_);
  }

 private:
  [[nodiscard]] const ir::OpInterval& interval(OpRef at) const { return trace_.at(at.rank, at.op); }

  /// The path so far begins at cursor_; this makes it begin at `from`, unless it does so earlier already.
  void take(Rank rank, std::optional<ir::OpIndex> op, SimTime from) {
    from = std::max(from, step_.start);
    if (from >= cursor_) return;
    pieces_.push_back({rank, op, from, cursor_});
    cursor_ = from;
  }

  [[nodiscard]] std::optional<OpRef> last_op() const {
    std::optional<OpRef> last;
    std::size_t rows = 0;   // seen so far
    for (std::size_t r = 0; r < schedule_.ranks.size(); ++r) {
      const Rank rank{static_cast<std::int32_t>(r)};
      if (trace_.row(rank) < rows) continue;
      const auto& row = trace_.ops[rows++];
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (!last || row[i].end > interval(*last).end) last = OpRef{rank, ir::OpIndex{static_cast<std::int32_t>(i)}};
      }
    }
    return last;
  }

  [[nodiscard]] OpRef last_to_arrive(OpRef at) const {
    if (!ir::communicates(schedule_.program_of(at.rank).ops[at.op.index()].work)) return at;
    OpRef last = at;
    for (const ir::InstanceMember member : instances_.all[instances_.at(at.rank, at.op).index()].members) {
      const OpRef other{member.rank, member.op};
      if (interval(other).issued > interval(last).issued) last = other;
    }
    return last;
  }

  [[nodiscard]] std::optional<OpRef> last_before(OpRef at) const {
    std::optional<OpRef> last;
    for (const ir::OpIndex op : predecessors_[schedule_.ranks[at.rank.index()].program.index()][at.op.index()]) {
      const OpRef before{at.rank, op};
      if (!last || interval(before).end > interval(*last).end) last = before;
    }
    return last;
  }

  const ir::Schedule& schedule_;
  const ir::Instances& instances_;
  const ir::Trace& trace_;
  TimeSpan step_;
  SimTime cursor_;
  std::vector<Predecessors> predecessors_;   // by program
  std::vector<PathPiece> pieces_;            // from the end
};

}  // namespace

std::vector<PathPiece> critical_path(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& trace) {
  return PathWalk(schedule, instances, trace).run();
}

}  // namespace fabricast::validation
