#include "sim/compute_times.hpp"

#include <algorithm>

#include "sim/engine.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::sim {
namespace {

// Loads come from few kinds of collectives; where each draws its own share of memory bandwidth (skewed routing), looking further would
// cost more than pricing anew.
constexpr std::size_t most_loads_kept = 16;

}  // namespace

ComputeTimes::ComputeTimes(const ir::Schedule& schedule, const CostModel& cost, const hw::Topology& topology)
    : schedule_(schedule), cost_(cost), topology_(topology), same_on_all_ranks_(schedule.programs.size() * (cost.others.size() + 1)) {
  for (std::size_t i = 0; i < schedule.ranks.size(); ++i) {
    const Rank rank{static_cast<std::int32_t>(i)};
    auto& entries = same_on_all_ranks_[table_of(rank)];
    if (!entries.empty()) continue;
    for (const ir::Op& op : schedule.program_of(rank).ops) {
      const bool priced_here = !ir::communicates(op.work) && !ir::depends_on_rank(op.work);
      const ir::OpIndex index{static_cast<std::int32_t>(entries.size())};
      entries.push_back({priced_here ? std::optional(price(rank, index, {})) : std::nullopt, {}});
    }
  }
}

std::size_t ComputeTimes::table_of(Rank rank) const {
  return schedule_.ranks[rank.index()].program.index() * (cost_.others.size() + 1) + static_cast<std::size_t>(class_of(rank));
}

SimTime ComputeTimes::of(Rank rank, ir::OpIndex op) const {
  const Entry& known = same_on_all_ranks_[table_of(rank)][op.index()];
  return known.alone ? *known.alone : price(rank, op, {});
}

SimTime ComputeTimes::of(Rank rank, ir::OpIndex op, const hw::GpuLoad& load) {
  if (load == hw::GpuLoad{}) return of(rank, op);
  Entry& entry = same_on_all_ranks_[table_of(rank)][op.index()];
  if (!entry.alone) return price(rank, op, load);
  const auto known = std::find_if(entry.under_load.begin(), entry.under_load.end(), [&](const UnderLoad& kept) { return kept.load == load; });
  if (known != entry.under_load.end()) return known->time;
  const SimTime time = price(rank, op, load);
  if (entry.under_load.size() < most_loads_kept) entry.under_load.push_back({load, time});
  return time;
}

SimTime ComputeTimes::price(Rank rank, ir::OpIndex op, const hw::GpuLoad& load) const {
  const auto kernel = ir::resolve_kernel(schedule_.program_of(rank).ops[op.index()].work, schedule_, rank);
  return countable_time(cost_.of_class(class_of(rank)).time(kernel.value(), load));
}

}  // namespace fabricast::sim
