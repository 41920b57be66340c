// Micro-benchmarks of the host: single kernels and collectives, by as many ranks at once as a job has, on random data. Knows no schedule.
//
// Ranks share the machine's processors. What one kernel costs a rank is therefore taken from all ranks together: each runs the kernel so many
// times in a row, and the time from the first one's beginning to the last one's end, divided by that number, is a sample.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/bench_plan.hpp"

namespace fabricast::runtime {

class HostBench {
 public:
  HostBench(std::int32_t ranks, std::int32_t repetitions) : ranks_(ranks), repetitions_(repetitions) {}

  /// Throws BackendUnavailable where the ranks' buffers exceed the machine's memory or the host does not compute in the precision.
  [[nodiscard]] Spread kernel(const hw::Kernel& kernel) const;
  [[nodiscard]] Spread copy(Bytes bytes) const;
  /// From the last member's arrival to the last one's end.
  [[nodiscard]] Spread collective(const CollectiveBench& bench) const;
  /// What an op costs that does nothing.
  [[nodiscard]] Spread launch() const;
  [[nodiscard]] BenchResults::Interference beside(const hw::Kernel& kernel, Bytes all_gather) const;

 private:
  std::int32_t ranks_, repetitions_;
};

/// All of the plan, one after the other. `say` is told what comes next.
[[nodiscard]] BenchResults run_on_host(const BenchPlan& plan, std::int32_t repetitions, const std::function<void(const std::string&)>& say);

}  // namespace fabricast::runtime
