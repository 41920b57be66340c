// How long each computation of a schedule takes, alone and while others hold part of the GPU. Ops whose size is the same on every rank are
// priced once per program, class of GPU and load.
#pragma once

#include <optional>
#include <vector>

#include "hardware_models/topology.hpp"
#include "sim/cost_model.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

class ComputeTimes {
 public:
  /// The arguments must outlive the table.
  ComputeTimes(const ir::Schedule& schedule, const CostModel& cost, const hw::Topology& topology);

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

  [[nodiscard]] std::int32_t class_of(Rank rank) const { return topology_.gpu_class(schedule_.ranks[rank.index()].gpu); }
  [[nodiscard]] std::size_t table_of(Rank rank) const;
  [[nodiscard]] SimTime price(Rank rank, ir::OpIndex op, const hw::GpuLoad& load) const;

  const ir::Schedule& schedule_;
  const CostModel& cost_;
  const hw::Topology& topology_;
  std::vector<std::vector<Entry>> same_on_all_ranks_;  // [program · classes + class][op]; empty where no rank is
};

}  // namespace fabricast::sim
