#include "validation/replay.hpp"

#include <algorithm>

#include "sim/op_progress.hpp"
#include "sim/program_graph.hpp"

namespace fabricast::validation {

namespace {

class Replay {
 public:
  Replay(const ir::Schedule& schedule, const ir::Instances& instances, const Durations& durations)
      : schedule_(schedule), instances_(instances), durations_(durations), graphs_(graphs_of(schedule)),
        progress_(schedule, graphs_, all_ranks(schedule)), arrived_(instances.all.size()) {
    for (const auto& rank : durations) trace_.ops.emplace_back(rank.size());
  }

  ir::Trace run() {
    for (std::size_t r = 0; r < schedule_.ranks.size(); ++r) {
      const auto waits_for = graphs_[schedule_.ranks[r].program.index()].predecessors();
      for (std::size_t op = 0; op < waits_for.size(); ++op) {
        if (waits_for[op] == 0) issue({Rank{static_cast<std::int32_t>(r)}, ir::OpIndex{static_cast<std::int32_t>(op)}});
      }
    }
    while (!ready_.empty()) {
      const ir::InstanceMember next = ready_.back();
      ready_.pop_back();
      end(next);
    }
    return std::move(trace_);
  }

 private:
  static std::vector<sim::ProgramGraph> graphs_of(const ir::Schedule& schedule) {
    std::vector<sim::ProgramGraph> graphs;
    for (const ir::Program& program : schedule.programs) graphs.emplace_back(program);
    return graphs;
  }

  static std::vector<Rank> all_ranks(const ir::Schedule& schedule) {
    std::vector<Rank> ranks;
    for (std::size_t r = 0; r < schedule.ranks.size(); ++r) ranks.push_back(Rank{static_cast<std::int32_t>(r)});
    return ranks;
  }

  ir::OpInterval& interval(ir::InstanceMember at) { return trace_.ops[at.rank.index()][at.op.index()]; }

  /// `issued` is final: all that the op waits for has ended.
  void issue(ir::InstanceMember at) {
    if (!ir::communicates(schedule_.program_of(at.rank).ops[at.op.index()].work)) return start(at, interval(at).issued);
    const ir::InstanceId id = instances_.at(at.rank, at.op);
    const auto& members = instances_.all[id.index()].members;
    if (static_cast<std::size_t>(++arrived_[id.index()]) < members.size()) return;
    SimTime last;
    for (const ir::InstanceMember member : members) last = std::max(last, interval(member).issued);
    for (const ir::InstanceMember member : members) start(member, last);
  }

  void start(ir::InstanceMember at, SimTime when) {
    interval(at).start = when;
    interval(at).end = when + durations_[at.rank.index()][at.op.index()];
    ready_.push_back(at);
  }

  void end(ir::InstanceMember at) {
    progress_.end(at.rank, at.op);
    for (const ir::OpIndex next : graphs_[schedule_.ranks[at.rank.index()].program.index()].dependents(at.op)) {
      ir::OpInterval& waiting = interval({at.rank, next});
      waiting.issued = std::max(waiting.issued, interval(at).end);
      if (progress_.release(at.rank, next)) issue({at.rank, next});
    }
  }

  const ir::Schedule& schedule_;
  const ir::Instances& instances_;
  const Durations& durations_;
  std::vector<sim::ProgramGraph> graphs_;
  sim::OpProgress progress_;
  std::vector<std::int32_t> arrived_;          // by instance
  std::vector<ir::InstanceMember> ready_;      // started, their end not yet passed on; any order gives the same times
  ir::Trace trace_;
};

}  // namespace

Durations durations_of(const ir::Trace& trace) {
  Durations durations;
  for (const auto& rank : trace.ops) {
    auto& ops = durations.emplace_back();
    for (const ir::OpInterval& op : rank) ops.push_back(op.end - op.start);
  }
  return durations;
}

ir::Trace replay(const ir::Schedule& schedule, const ir::Instances& instances, const Durations& durations) {
  return Replay(schedule, instances, durations).run();
}

}  // namespace fabricast::validation
