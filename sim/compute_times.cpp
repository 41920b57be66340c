#include "sim/compute_times.hpp"

#include "strategies/ir/resolve.hpp"

namespace fabricast::sim {

ComputeTimes::ComputeTimes(const ir::Schedule& schedule, const hw::GpuCostModel& gpu)
    : schedule_(schedule), gpu_(gpu), same_on_all_ranks_(schedule.programs.size()) {
  for (std::size_t i = 0; i < schedule.ranks.size(); ++i) {
    const Rank rank{static_cast<std::int32_t>(i)};
    auto& times = same_on_all_ranks_[schedule.ranks[i].program.index()];
    if (!times.empty()) continue;
    for (const ir::Op& op : schedule.program_of(rank).ops) {
      const bool priced_here = !ir::communicates(op.work) && !ir::depends_on_rank(op.work);
      const ir::OpIndex index{static_cast<std::int32_t>(times.size())};
      times.push_back(priced_here ? std::optional(price(rank, index)) : std::nullopt);
    }
  }
}

SimTime ComputeTimes::of(Rank rank, ir::OpIndex op) const {
  const auto& known = same_on_all_ranks_[schedule_.ranks[rank.index()].program.index()][op.index()];
  return known ? *known : price(rank, op);
}

SimTime ComputeTimes::price(Rank rank, ir::OpIndex op) const {
  const auto kernel = ir::resolve_kernel(schedule_.program_of(rank).ops[op.index()].work, schedule_, rank);
  return to_sim_time(gpu_.time(kernel.value()));
}

}  // namespace fabricast::sim
