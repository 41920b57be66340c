// One run on the host, or this process's part of it: threads, steps, the watch over them, and what they leave behind. Knows no kernels, no
// data paths and no library that connects processes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/arena.hpp"
#include "runtime/compute.hpp"
#include "runtime/executor.hpp"
#include "runtime/peers.hpp"
#include "runtime/rank_replay.hpp"
#include "runtime/step_gate.hpp"
#include "runtime/transport.hpp"
#include "strategies/ir/memory_plan.hpp"

namespace fabricast::runtime {

/// Which part of the job this process runs, and how it meets the others.
struct HostSite {
  std::vector<Rank> ranks;
  std::function<std::unique_ptr<Transport>(std::vector<ExchangeShape>, const ir::Instances&)> make_transport;
  Peers& peers;
};

class HostRun {
 public:
  HostRun(const ir::Schedule& schedule, const RunOptions& options, Compute& compute, HostSite site);
  /// Once. All threads have ended when it returns or throws. Of other processes' ranks the run holds nothing.
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
  [[nodiscard]] ExecutionError give_up() const;
  [[nodiscard]] std::string absent_members(ir::InstanceMember waiting) const;
  [[nodiscard]] MeasuredRun collect();

  const ir::Schedule& schedule_;
  const RunOptions& options_;
  Compute& compute_;
  HostSite site_;
  hw::Precision precision_;
  std::vector<StepKind> steps_;
  ir::Instances instances_;
  std::unique_ptr<Transport> transport_;
  std::vector<ir::MemoryPlan> plans_;                              // by rank; as what follows, empty for ranks of other processes
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
  std::optional<std::string> trouble_;                             // why the run is given up
};

}  // namespace fabricast::runtime
