// Which ops of a program wait for which: the order of each stream plus the edges between streams. Shared by all ranks that run the program.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

class ProgramGraph {
 public:
  explicit ProgramGraph(const ir::Program& program);

  /// Ops that wait for `op`.
  [[nodiscard]] std::span<const ir::OpIndex> dependents(ir::OpIndex op) const {
    return {dependents_.data() + first_[op.index()], dependents_.data() + first_[op.index() + 1]};
  }
  /// How many ops each op waits for.
  [[nodiscard]] std::span<const std::int32_t> predecessors() const { return predecessors_; }

 private:
  std::vector<std::size_t> first_;        // by op, one more than there are
  std::vector<ir::OpIndex> dependents_;
  std::vector<std::int32_t> predecessors_;
};

}  // namespace fabricast::sim
