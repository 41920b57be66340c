#include "validation/least_peak.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "strategies/ir/buffer_uses.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::validation {

namespace {

Bytes most_alive(const ir::Program& program, const ir::BufferUses& uses, const ir::Schedule& schedule, Rank rank) {
  Bytes always, most;
  std::vector<Bytes> change(program.ops.size() + 1);
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    const Bytes size = ir::bytes_of(program.buffers[b], schedule, rank);
    const auto range = uses.range(ir::BufferId{static_cast<std::int32_t>(b)});
    if (ir::is_pinned(program.buffers[b].kind)) {
      always += size;
    } else if (range) {
      change[range->first.index()] += size;
      change[range->last.index() + 1] -= size;
    }
  }
  Bytes alive = always;
  most = alive;
  for (const Bytes bytes : change) most = std::max(most, alive += bytes);
  return most;
}

}  // namespace

Bytes least_peak(const ir::Schedule& schedule, const ir::RankClasses& by_size) {
  std::vector<std::optional<ir::BufferUses>> uses(schedule.programs.size());
  Bytes fullest;
  for (const Rank rank : by_size.representatives) {
    const std::size_t program = schedule.ranks[rank.index()].program.index();
    if (!uses[program]) uses[program].emplace(schedule.programs[program]);
    fullest = std::max(fullest, most_alive(schedule.programs[program], *uses[program], schedule, rank));
  }
  return fullest;
}

}  // namespace fabricast::validation
