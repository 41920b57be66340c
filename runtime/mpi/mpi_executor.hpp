// Executes a schedule with one process a rank, on the CPUs of one machine or several. Each process runs its rank with the host's threads and
// kernels; messages go over MPI. Knows no strategy.
#pragma once

#include <atomic>

#include "runtime/executor.hpp"
#include "runtime/mpi/mpi_world.hpp"

namespace fabricast::runtime {

class MpiExecutor final : public Executor {
 public:
  /// `stop`: raised from outside, by a signal, when the run is to end. May be null.
  explicit MpiExecutor(const MpiWorld& world, const std::atomic<bool>* stop = nullptr) : world_(world), stop_(stop) {}

  /// Collective. Every process leaves with the run of all ranks. As many processes as ranks, else BackendUnavailable. After an
  /// ExecutionError the job cannot go on: MpiWorld::abort.
  [[nodiscard]] MeasuredRun run(const ir::Schedule& schedule, const RunOptions& options) override;

 private:
  const MpiWorld& world_;
  const std::atomic<bool>* stop_;
};

}  // namespace fabricast::runtime
