// How long each computation of a schedule takes. Ops whose size is the same on every rank are priced once per program.
#pragma once

#include <optional>
#include <vector>

#include "hardware_models/gpu_cost.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

class ComputeTimes {
 public:
  /// The arguments must outlive the table.
  ComputeTimes(const ir::Schedule& schedule, const hw::GpuCostModel& gpu);

  /// Of an op that does not communicate.
  [[nodiscard]] SimTime of(Rank rank, ir::OpIndex op) const;

 private:
  [[nodiscard]] SimTime price(Rank rank, ir::OpIndex op) const;

  const ir::Schedule& schedule_;
  const hw::GpuCostModel& gpu_;
  std::vector<std::vector<std::optional<SimTime>>> same_on_all_ranks_;  // [program][op]
};

}  // namespace fabricast::sim
