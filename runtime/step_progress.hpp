// How far device queues have come in a step, as far as they tell when asked. Knows no devices: whether an op has ended is an argument.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "runtime/issue_order.hpp"

namespace fabricast::runtime {

/// Thread-safe: one thread issues, another watches.
class StepProgress {
 public:
  using HasEnded = std::function<bool(ir::InstanceMember)>;

  /// Both must outlive it.
  StepProgress(const ir::Schedule& schedule, std::span<const IssueUnit> units);

  void begin_step();
  /// The next unit has been handed to its queues.
  void issued();

  /// Asks for the ops that are next to end.
  void advance(const HasEnded& has_ended);
  /// Grows with each unit issued and each op seen to end, over all steps.
  [[nodiscard]] std::size_t moves() const;

  [[nodiscard]] bool all_ended() const;
  /// Is an op under way that depends on no other rank?
  [[nodiscard]] bool is_computing() const;
  /// Issued ops whose stream has come to them but that have not ended.
  [[nodiscard]] std::vector<ir::InstanceMember> under_way() const;

 private:
  struct Stream {
    std::vector<ir::InstanceMember> ops;     // in order
    std::size_t issued = 0, ended = 0;       // of them
  };
  [[nodiscard]] bool has_ended(Rank rank, ir::OpIndex op) const;

  const ir::Schedule& schedule_;
  std::span<const IssueUnit> units_;
  mutable std::mutex mutex_;                 // of what follows
  std::vector<Stream> streams_;
  std::vector<std::vector<std::size_t>> stream_of_, place_of_;   // [rank][op]; empty for ranks elsewhere
  std::size_t issued_ = 0;                   // units of the step
  std::size_t moves_ = 0;
};

}  // namespace fabricast::runtime
