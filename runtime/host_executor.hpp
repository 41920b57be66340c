// Executes a schedule on this machine's CPU: every rank of the job a pair of threads in this process, real buffers, real numbers. The
// default backend: needs no set-up. Knows no strategy.
#pragma once

#include <memory>

#include "runtime/compute.hpp"
#include "runtime/executor.hpp"

namespace fabricast::runtime {

class HostExecutor final : public Executor {
 public:
  HostExecutor();
  /// With another backend for the computation, on host memory.
  explicit HostExecutor(std::unique_ptr<Compute> compute);
  ~HostExecutor() override;

  [[nodiscard]] MeasuredRun run(const ir::Schedule& schedule, const RunOptions& options) override;

 private:
  std::unique_ptr<Compute> compute_;
};

}  // namespace fabricast::runtime
