#include "runtime/host_executor.hpp"

#include <utility>

#include "runtime/host_compute.hpp"
#include "runtime/host_run.hpp"
#include "runtime/thread_transport.hpp"

namespace fabricast::runtime {

HostExecutor::HostExecutor() : HostExecutor(std::make_unique<HostCompute>()) {}

HostExecutor::HostExecutor(std::unique_ptr<Compute> compute) : compute_(std::move(compute)) {}

HostExecutor::~HostExecutor() = default;

MeasuredRun HostExecutor::run(const ir::Schedule& schedule, const RunOptions& options) {
  NoPeers nobody(options.stall_timeout);
  HostSite site{{}, {}, nobody};
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) site.ranks.push_back(Rank{static_cast<std::int32_t>(r)});
  site.make_transport = [](std::vector<ExchangeShape> shapes, const ir::Instances&) {
    return std::make_unique<ThreadTransport>(std::move(shapes));
  };
  return HostRun(schedule, options, *compute_, std::move(site)).run();
}

}  // namespace fabricast::runtime
