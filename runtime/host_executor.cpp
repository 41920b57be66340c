#include "runtime/host_executor.hpp"

#include "runtime/host_compute.hpp"
#include "runtime/host_run.hpp"

namespace fabricast::runtime {

HostExecutor::HostExecutor() : HostExecutor(std::make_unique<HostCompute>()) {}

HostExecutor::HostExecutor(std::unique_ptr<Compute> compute) : compute_(std::move(compute)) {}

HostExecutor::~HostExecutor() = default;

MeasuredRun HostExecutor::run(const ir::Schedule& schedule, const RunOptions& options) {
  return HostRun(schedule, options, *compute_).run();
}

}  // namespace fabricast::runtime
