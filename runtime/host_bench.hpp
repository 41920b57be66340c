// Micro-benchmarks of the host: single kernels and collectives, by as many ranks at once as a job has, on random data. Knows no schedule.
//
// Ranks share the machine's processors. What one kernel costs a rank is therefore taken from all ranks together: each runs the kernel so many
// times in a row, and the time from the first one's beginning to the last one's end, divided by that number, is a sample.
#pragma once

#include <cstdint>

#include "hardware_models/collectives.hpp"
#include "hardware_models/kernels.hpp"
#include "runtime/executor.hpp"

namespace fabricast::runtime {

struct CollectiveBench {
  hw::CollectiveKind kind;
  Bytes size;                     // S of hardware_models/collectives.hpp; shards and pieces are even
  std::int32_t members = 2;
  std::int32_t groups = 1;        // side by side
  hw::Precision precision = hw::Precision::fp32;
};

/// A kernel alone and beside all-gathers that never end, in all ranks at once.
struct HostInterference {
  Seconds alone, beside;
  BytesPerSecond communication;   // received by each rank meanwhile
};

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
  [[nodiscard]] HostInterference beside(const hw::Kernel& kernel, Bytes all_gather) const;

 private:
  template <class Work>
  [[nodiscard]] Spread time_of_all(std::vector<Work>& works) const;

  std::int32_t ranks_, repetitions_;
};

}  // namespace fabricast::runtime
