#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "strategies/ir/memory_plan.hpp"
#include "strategies/ir/resolve.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

/// What tells one rank's plan from another's: its program and the sizes of its buffers.
using MemoryNeed = std::pair<ir::ProgramId, std::vector<Bytes>>;

MemoryNeed need_of(const ir::Schedule& schedule, Rank rank) {
  MemoryNeed need{schedule.ranks[rank.index()].program, {}};
  for (const ir::BufferSpec& buffer : schedule.program_of(rank).buffers) need.second.push_back(ir::bytes_of(buffer, schedule, rank));
  return need;
}

struct RankPlan {
  Rank rank;
  ir::MemoryPlan plan;
};

/// Plans one rank of each distinct need; the first of the fullest.
std::optional<RankPlan> fullest_rank(const ir::Schedule& schedule) {
  std::set<MemoryNeed> seen;
  std::optional<RankPlan> fullest;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    if (!seen.insert(need_of(schedule, rank)).second) continue;
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

MemorySummary summarize_memory(const ir::Schedule& schedule, Bytes reserve, Bytes capacity) {
  MemorySummary memory;
  const auto fullest = fullest_rank(schedule);
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
