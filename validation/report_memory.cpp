#include <algorithm>
#include <optional>
#include <utility>

#include "strategies/ir/memory_plan.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

struct RankPlan {
  Rank rank;
  ir::MemoryPlan plan;
};

/// The first of the fullest.
std::optional<RankPlan> fullest_rank(const ir::Schedule& schedule, const ir::RankClasses& by_size) {
  std::optional<RankPlan> fullest;
  for (const Rank rank : by_size.representatives) {
    ir::MemoryPlan plan = ir::plan_memory(schedule, rank);
    if (!fullest || plan.peak > fullest->plan.peak) fullest = RankPlan{rank, std::move(plan)};
  }
  return fullest;
}

void itemize(MemorySummary& memory, const ir::MemoryPlan& plan) {
  Bytes parameters;
  for (const auto& [kind, bytes] : plan.at_peak) {
    if (!ir::is_parameter(kind)) continue;
    parameters += bytes;
    memory.parameters_by_kind.emplace_back(ir::name_of(kind), bytes);
  }
  const auto alive = [&](ir::BufferKind kind) {
    const auto found = plan.at_peak.find(kind);
    return found == plan.at_peak.end() ? Bytes(0) : found->second;
  };
  memory.breakdown = {{"parameters", parameters},
                      {"activations", alive(ir::BufferKind::activations)},
                      {"dispatch", alive(ir::BufferKind::dispatch)},
                      {"logits", alive(ir::BufferKind::logits)},
                      {"input", alive(ir::BufferKind::input)},
                      {"fragmentation", plan.peak - plan.live_peak}};
}

}  // namespace

MemorySummary summarize_memory(const ir::Schedule& schedule, const ir::RankClasses& by_size, Bytes reserve, Bytes capacity) {
  MemorySummary memory;
  const auto fullest = fullest_rank(schedule, by_size);
  if (fullest) {
    memory.fullest = fullest->rank;
    memory.peak = fullest->plan.peak;
    itemize(memory, fullest->plan);
  }
  memory.peak += reserve;
  memory.breakdown.emplace_back("reserve", reserve);
  memory.capacity = capacity;
  memory.fits = memory.peak <= capacity;
  return memory;
}

}  // namespace fabricast::validation
