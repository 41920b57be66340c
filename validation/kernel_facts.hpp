// What each computation op of a schedule amounts to: FLOP, bytes and least times. Computed once per program where ranks do not differ.
#pragma once

#include <optional>
#include <vector>

#include "hardware_models/gpu_cost.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::validation {

struct KernelFacts {
  Flop flop, model_flop;
  Bytes traffic;
  Seconds at_peak;    // flop / dense peak of the kernel's precision
  Seconds roofline;   // that, or the traffic at the memory's specified bandwidth if longer
};

[[nodiscard]] hw::Precision precision_of(const hw::Kernel& kernel);

class ScheduleFacts {
 public:
  ScheduleFacts(const ir::Schedule& schedule, const hw::GpuCostModel& gpu);

  /// Nothing for communication.
  [[nodiscard]] std::optional<KernelFacts> of(Rank rank, ir::OpIndex op) const;

 private:
  struct Entry {
    bool computes = false;
    std::optional<KernelFacts> shared;   // absent where it depends on the rank
  };
  const ir::Schedule& schedule_;
  const hw::GpuCostModel& gpu_;
  std::vector<std::vector<Entry>> entries_;   // by program and op
};

}  // namespace fabricast::validation
