// How far every op of every rank is: waiting for others, issued, or ended. Knows no time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/program_graph.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

class OpProgress {
 public:
  /// graphs[program]. Of these ranks alone. Ops that wait for nothing count as issued.
  OpProgress(const ir::Schedule& schedule, const std::vector<ProgramGraph>& graphs, std::span<const Rank> ranks)
      : first_(schedule.ranks.size()) {
    for (const Rank rank : ranks) {
      const auto predecessors = graphs[schedule.ranks[rank.index()].program.index()].predecessors();
      first_[rank.index()] = state_.size();
      state_.insert(state_.end(), predecessors.begin(), predecessors.end());
    }
    unended_ = static_cast<std::int64_t>(state_.size());
  }

  /// One of the ops that it waits for has ended. True when that was the last: the op is issued.
  [[nodiscard]] bool release(Rank rank, ir::OpIndex op) { return --at(rank, op) == 0; }
  void end(Rank rank, ir::OpIndex op) {
    at(rank, op) = ended_state;
    --unended_;
  }

  [[nodiscard]] bool issued(Rank rank, ir::OpIndex op) const { return at(rank, op) <= 0; }
  [[nodiscard]] bool ended(Rank rank, ir::OpIndex op) const { return at(rank, op) == ended_state; }
  [[nodiscard]] bool all_ended() const { return unended_ == 0; }

 private:
  static constexpr std::int32_t ended_state = -1;
  [[nodiscard]] std::int32_t& at(Rank rank, ir::OpIndex op) { return state_[first_[rank.index()] + op.index()]; }
  [[nodiscard]] const std::int32_t& at(Rank rank, ir::OpIndex op) const { return state_[first_[rank.index()] + op.index()]; }

  std::vector<std::size_t> first_;    // by rank
  std::vector<std::int32_t> state_;   // ops still waited for; 0 once issued, ended_state once ended
  std::int64_t unended_ = 0;
};

}  // namespace fabricast::sim
