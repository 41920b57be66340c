#include "validation/kernel_facts.hpp"

#include <variant>

#include "hardware_models/kernels.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::validation {

namespace {

KernelFacts facts_of(const hw::Kernel& kernel, const hw::GpuCostModel& gpu) {
  const Flop work = hw::flop(kernel);
  const FlopPerSecond peak = gpu.gpu().peak[static_cast<std::size_t>(precision_of(kernel))];
  const Seconds at_peak = work > Flop(0) && peak > FlopPerSecond(0) ? work / peak : Seconds(0);
  return {work, hw::model_flop(kernel), hw::memory_traffic(kernel), at_peak, gpu.floor(kernel)};
}

std::optional<Rank> first_rank_of(const ir::Schedule& schedule, std::size_t program) {
  for (std::size_t rank = 0; rank < schedule.ranks.size(); ++rank) {
    if (schedule.ranks[rank].program.index() == program) return Rank{static_cast<std::int32_t>(rank)};
  }
  return std::nullopt;
}

}  // namespace

hw::Precision precision_of(const hw::Kernel& kernel) {
  return std::visit([](const auto& shape) { return shape.precision; }, kernel);
}

ScheduleFacts::ScheduleFacts(const ir::Schedule& schedule, const hw::GpuCostModel& gpu) : schedule_(schedule), gpu_(gpu) {
  for (std::size_t program = 0; program < schedule.programs.size(); ++program) {
    auto& entries = entries_.emplace_back();
    const auto rank = first_rank_of(schedule, program);
    for (const ir::Op& op : schedule.programs[program].ops) {
      Entry& entry = entries.emplace_back();
      entry.computes = !ir::communicates(op.work);
      if (!entry.computes || !rank || ir::depends_on_rank(op.work)) continue;
      if (const auto kernel = ir::resolve_kernel(op.work, schedule, *rank)) entry.shared = facts_of(*kernel, gpu);
    }
  }
}

std::optional<KernelFacts> ScheduleFacts::of(Rank rank, ir::OpIndex op) const {
  const Entry& entry = entries_[schedule_.ranks[rank.index()].program.index()][op.index()];
  if (!entry.computes || entry.shared) return entry.shared;
  const auto kernel = ir::resolve_kernel(schedule_.program_of(rank).ops[op.index()].work, schedule_, rank);
  if (!kernel) return std::nullopt;
  return facts_of(*kernel, gpu_);
}

}  // namespace fabricast::validation
