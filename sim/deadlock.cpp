#include "sim/deadlock.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "strategies/ir/validate.hpp"

namespace fabricast::sim {
namespace {

constexpr std::size_t most_lines = 16, most_missing = 8;

/// The first op that could start but for its peers. A rank that has none waits behind such an op of its own or has ended.
std::optional<ir::OpIndex> stuck_op(const ir::Schedule& schedule, const OpProgress& progress, Rank rank) {
  for (std::size_t i = 0; i < schedule.program_of(rank).ops.size(); ++i) {
    const ir::OpIndex op{static_cast<std::int32_t>(i)};
    if (progress.issued(rank, op) && !progress.ended(rank, op)) return op;
  }
  return std::nullopt;
}

std::string missing_members(const Meeting& meeting, const OpProgress& progress) {
  std::string text;
  std::size_t missing = 0;
  for (const ir::InstanceMember& member : meeting.members) {
    if (progress.issued(member.rank, member.op)) continue;
    if (missing++ < most_missing) text += fmt::format("{}{}", text.empty() ? "" : ", ", member.rank.value);
  }
  if (missing > most_missing) text += fmt::format(" and {} more", missing - most_missing);
  return text;
}

}  // namespace

std::string describe_deadlock(const ir::Schedule& schedule, const Meetings& meetings, const OpProgress& progress) {
  std::vector<std::string> lines;
  std::size_t stuck = 0;
  for (std::size_t i = 0; i < schedule.ranks.size(); ++i) {
    const Rank rank{static_cast<std::int32_t>(i)};
    const auto op = stuck_op(schedule, progress, rank);
    if (!op || ++stuck > most_lines) continue;
    const Meeting& meeting = meetings.all[meetings.at(rank, *op).index()];
    lines.push_back(fmt::format("\n  {} waits for rank {}", ir::describe(schedule, rank, *op), missing_members(meeting, progress)));
  }
  if (stuck > most_lines) lines.push_back(fmt::format("\n  and {} more", stuck - most_lines));
  return fmt::format("deadlock: {} ranks wait for each other{}", stuck, fmt::join(lines, ""));
}

}  // namespace fabricast::sim
