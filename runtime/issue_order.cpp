#include "runtime/issue_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "runtime/executor.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::runtime {
namespace {

std::vector<IssueUnit> program_order(const ir::Schedule& schedule, Rank rank) {
  std::vector<IssueUnit> units;
  for (std::size_t i = 0; i < schedule.program_of(rank).ops.size(); ++i) {
    units.push_back({{{rank, ir::OpIndex{static_cast<std::int32_t>(i)}}}});
  }
  return units;
}

/// Streams of all ranks side by side. The head of a stream may go when what it waits for has gone; a communication, when that holds for
/// every member.
class Ordering {
 public:
  Ordering(const ir::Schedule& schedule, const ir::Instances& instances, std::span<const Rank> ranks)
      : schedule_(schedule), instances_(instances), ranks_(ranks), issued_(schedule.ranks.size()), streams_(schedule.ranks.size()) {
    for (const Rank rank : ranks_) {
      const ir::Program& program = schedule_.program_of(rank);
      issued_[rank.index()].resize(program.ops.size());
      streams_[rank.index()].resize(std::max<std::size_t>(program.streams.size(), 1));
      for (std::size_t i = 0; i < program.ops.size(); ++i) {
        streams_[rank.index()][program.ops[i].stream.index()].ops.push_back(ir::OpIndex{static_cast<std::int32_t>(i)});
      }
      left_ += program.ops.size();
    }
  }

  std::vector<IssueUnit> order() {
    while (left_ > 0) {
      const std::size_t before = left_;
      for (const Rank rank : ranks_) {
        for (Stream& stream : streams_[rank.index()]) advance(rank, stream);
      }
      if (left_ == before) throw stuck();
    }
    return std::move(units_);
  }

 private:
  struct Stream {
    std::vector<ir::OpIndex> ops;
    std::size_t next = 0;
    [[nodiscard]] bool is_at(ir::OpIndex op) const { return next < ops.size() && ops[next] == op; }
  };

  void advance(Rank rank, Stream& stream) {
    while (stream.next < stream.ops.size()) {
      std::vector<ir::InstanceMember> members = members_of({rank, stream.ops[stream.next]});
      if (!std::all_of(members.begin(), members.end(), [&](ir::InstanceMember m) { return may_go(m); })) return;
      for (const ir::InstanceMember m : members) {
        issued_[m.rank.index()][m.op.index()] = true;
        ++stream_of(m).next;
        --left_;
      }
      units_.push_back({std::move(members)});
    }
  }

  [[nodiscard]] std::vector<ir::InstanceMember> members_of(ir::InstanceMember member) const {
    if (!ir::communicates(schedule_.program_of(member.rank).ops[member.op.index()].work)) return {member};
    std::vector<ir::InstanceMember> here;
    for (const ir::InstanceMember m : instances_.all[instances_.at(member.rank, member.op).index()].members) {
      if (!streams_[m.rank.index()].empty()) here.push_back(m);
    }
    return here;
  }

  [[nodiscard]] Stream& stream_of(ir::InstanceMember m) {
    return streams_[m.rank.index()][schedule_.program_of(m.rank).ops[m.op.index()].stream.index()];
  }

  [[nodiscard]] bool may_go(ir::InstanceMember m) {
    const auto& after = schedule_.program_of(m.rank).ops[m.op.index()].after;
    return stream_of(m).is_at(m.op) &&
           std::all_of(after.begin(), after.end(), [&](ir::OpIndex earlier) { return issued_[m.rank.index()][earlier.index()]; });
  }

  [[nodiscard]] ExecutionError stuck() const {
    constexpr std::size_t most_named = 4;
    std::string heads;
    std::size_t named = 0;
    for (const Rank rank : ranks_) {
      for (const Stream& stream : streams_[rank.index()]) {
        if (stream.next == stream.ops.size() || named == most_named) continue;
        heads += (named++ == 0 ? "" : "; ") + ir::describe(schedule_, rank, stream.ops[stream.next]);
      }
    }
    return ExecutionError(fmt::format("these ops wait for each other, so that none can start: {}", heads));
  }

  const ir::Schedule& schedule_;
  const ir::Instances& instances_;
  std::span<const Rank> ranks_;
  std::vector<std::vector<bool>> issued_;        // [rank][op]
  std::vector<std::vector<Stream>> streams_;     // [rank][stream]; none of ranks elsewhere
  std::size_t left_ = 0;                         // ops
  std::vector<IssueUnit> units_;
};

}  // namespace

std::vector<IssueUnit> issue_order(const ir::Schedule& schedule, const ir::Instances& instances, std::span<const Rank> ranks) {
  if (ranks.size() == 1) return program_order(schedule, ranks[0]);
  return Ordering(schedule, instances, ranks).order();
}

}  // namespace fabricast::runtime
