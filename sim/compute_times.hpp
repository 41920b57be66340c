// How long each computation of a schedule takes, alone and while others hold part of the GPU. Ops whose size is the same on every rank are
// priced once per program and load.
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
  /// The same if others held `load` from its start to its end. Never less.
  [[nodiscard]] SimTime of(Rank rank, ir::OpIndex op, const hw::GpuLoad& load);

 private:
  struct UnderLoad {
    hw::GpuLoad load;
    SimTime time;
  };
  struct Entry {
    std::optional<SimTime> alone;           // nothing where ranks differ
    std::vector<UnderLoad> under_load;
  };

  [[nodiscard]] SimTime price(Rank rank, ir::OpIndex op, const hw::GpuLoad& load) const;

  const ir::Schedule& schedule_;
  const hw::GpuCostModel& gpu_;
  std::vector<std::vector<Entry>> same_on_all_ranks_;  // [program][op]
};

}  // namespace fabricast::sim
