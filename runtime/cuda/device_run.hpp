// One run on a GPU, or this process's part of it: memory, steps, the watch over them, and what they leave behind. Knows no kernels and no
// data paths.
//
// The calling thread hands the ops of a step to the device's queues, edges as events, and waits only when all are handed over. A second
// thread watches: it asks the queues how far they are, and ends what does not come back.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/cuda/attention.hpp"
#include "runtime/cuda/device_rank.hpp"
#include "runtime/cuda/device_transport.hpp"
#include "runtime/cuda/gemm.hpp"
#include "runtime/cuda/gpu_clock.hpp"
#include "runtime/cuda/guard.hpp"
#include "runtime/device_trace.hpp"
#include "runtime/executor.hpp"
#include "runtime/step_progress.hpp"

namespace fabricast::runtime::cuda {

class DeviceRun {
 public:
  /// Allocates, fills memory, connects ranks and chooses kernels. Throws as Executor::run does.
  DeviceRun(const ir::Schedule& schedule, const RunOptions& options, const CudaOptions& cuda);
  ~DeviceRun();
  DeviceRun(const DeviceRun&) = delete;
  DeviceRun& operator=(const DeviceRun&) = delete;

  /// Once.
  [[nodiscard]] MeasuredRun run();

 private:
  enum class Phase : std::uint8_t { preparing, connecting, rehearsing, between_steps, in_step };
  using Stamps = std::vector<std::vector<OpStamps>>;   // [rank][op]; empty for ranks elsewhere
  struct KeptLogits {
    const BoundOp* op;
    std::size_t offset;                                // in logits_memory_
  };

  template <class Body>
  auto or_end_soon(Body body);
  void require_options() const;
  void require_capacity(const std::vector<ir::MemoryPlan>& plans) const;
  void make_ranks();
  void connect();
  void rehearse();
  void prepare();

  [[nodiscard]] MeasuredRun run_steps();
  [[nodiscard]] std::vector<LogitsShard> check_step();
  enum class StepKind : std::uint8_t { warms_up, is_timed, keeps_logits };
  void step(StepKind kind);
  void open_step();
  void issue(const IssueUnit& unit, bool keeps_logits);
  void copy_logits(const BoundOp& op, cudaStream_t stream);
  void await_end();
  [[nodiscard]] Stamps read_stamps() const;
  [[nodiscard]] bool has_ended(ir::InstanceMember member) const;

  void watch(const std::stop_token& stop);
  void watch_once();
  void give_up(const std::string& why);
  void throw_if_given_up();
  [[nodiscard]] std::string under_way() const;
  [[nodiscard]] ExecutionError failure(const std::string& why) const;

  void join_ranks(MeasuredRun& run, std::vector<Stamps>& steps) const;
  [[nodiscard]] MeasuredRun collect(std::vector<LogitsShard> first, const std::vector<LogitsShard>& last, std::vector<Stamps> steps) const;

  std::optional<Guard> last_resort_;                   // once the run is given up, and while all is given back; goes last
  const ir::Schedule& schedule_;
  RunOptions options_;
  const CudaOptions& cuda_;
  hw::Precision precision_;
  ir::Instances instances_;
  std::vector<Rank> here_;                             // ranks of this process
  std::vector<IssueUnit> units_;
  StepProgress progress_;
  std::vector<std::unique_ptr<DeviceRank>> ranks_;     // by rank; null for ranks elsewhere
  std::unique_ptr<Gemms> gemms_;
  GpuClock clock_;
  std::unique_ptr<Attentions> attentions_;
  std::unique_ptr<DeviceTransport> transport_;
  Event zero_;                                         // the step's beginning on the device,
  Seconds zero_late_;                                  // and by how much it came after that of all ranks
  std::int64_t compare_at_ = 0, began_at_ = 0;         // when clocks are compared again, and the last step began: ns of the common clock
  std::vector<DeviceMember> members_;                  // of the unit that is issued
  PinnedMemory logits_memory_;
  std::vector<KeptLogits> kept_logits_;
  std::size_t logits_used_ = 0;

  std::atomic<Phase> phase_{Phase::preparing};
  mutable std::mutex mutex_;                           // of what follows
  std::condition_variable_any wake_;
  std::optional<std::string> trouble_;                 // why the run is given up
  Clock::time_point moved_at_;
  std::size_t seen_moves_ = 0;
  std::jthread watch_;                                 // ends first
};

}  // namespace fabricast::runtime::cuda
