// One run on the host: threads, steps, the watch over them, and what they leave behind. Knows no kernels and no data paths.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/arena.hpp"
#include "runtime/compute.hpp"
#include "runtime/executor.hpp"
#include "runtime/rank_replay.hpp"
#include "runtime/step_gate.hpp"
#include "runtime/thread_transport.hpp"
#include "strategies/ir/memory_plan.hpp"

namespace fabricast::runtime {

class HostRun {
 public:
  HostRun(const ir::Schedule& schedule, const RunOptions& options, Compute& compute);
  /// Once. All threads have ended when it returns or throws.
  [[nodiscard]] MeasuredRun run();

 private:
  enum class StepKind : std::uint8_t { warm_up, timed, first_check, last_check };

  [[nodiscard]] static std::vector<StepKind> steps_of(const RunOptions& options);
  void plan();
  void thread_main(Rank rank, std::size_t lane);
  void prepare(Rank rank);
  [[nodiscard]] bool run_steps(Rank rank, std::size_t lane);
  void open_step();
  [[nodiscard]] StepRecord record_of(Rank rank, std::size_t step);
  void fail(ExecutionError error);
  void stop();
  void watch();
  [[nodiscard]] bool nothing_moves() const;
  [[nodiscard]] std::uint64_t rings() const;
  [[nodiscard]] ExecutionError stall() const;
  [[nodiscard]] std::string absent_members(ir::InstanceMember waiting) const;
  [[nodiscard]] MeasuredRun collect();

  const ir::Schedule& schedule_;
  const RunOptions& options_;
  Compute& compute_;
  hw::Precision precision_;
  std::vector<StepKind> steps_;
  ir::Instances instances_;
  ThreadTransport transport_;
  std::vector<ir::MemoryPlan> plans_;                              // by rank
  std::vector<Arena> arenas_;                                      // by rank
  std::vector<Doorbell> bells_;                                    // by rank, then lane
  std::vector<std::unique_ptr<RankReplay>> replays_;               // by rank
  StepGate gate_;

  std::vector<ir::Trace> traces_;                                  // of timed steps
  std::vector<std::vector<LogitsShard>> first_logits_, last_logits_;   // by rank
  Clock::time_point zero_;                                         // of the current step

  std::atomic<bool> stop_{false};
  std::mutex mutex_;                                               // of what follows
  std::condition_variable ended_;
  std::size_t running_ = 0;                                        // threads
  std::optional<ExecutionError> failure_;                          // the first
  bool stalled_ = false;
};

}  // namespace fabricast::runtime
