// Ranks in classes, of which what holds for one holds for all. Knows sizes, not times; what else tells ranks apart is the caller's.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

/// Classes are numbered in the order of their first ranks.
struct RankClasses {
  std::vector<std::int32_t> of;           // by Rank
  std::vector<Rank> representatives;      // by class: its first rank; ascending

  [[nodiscard]] std::size_t size() const { return representatives.size(); }
  [[nodiscard]] std::size_t at(Rank rank) const { return static_cast<std::size_t>(of[rank.index()]); }
};

/// Every rank a class of its own.
[[nodiscard]] RankClasses each_rank(const Schedule& schedule);

/// Ranks of a class run the same program, and all that its ops and buffers ask the routing plan for has the same answer: rows sent,
/// received and computed, expert by expert, and experts hosted. So resolve_kernel and bytes_of give the same for each of them.
[[nodiscard]] RankClasses classes_by_size(const Schedule& schedule);

/// The coarsest classes within both; `others` by Rank.
[[nodiscard]] RankClasses refine(const RankClasses& classes, std::span<const std::int32_t> others);

}  // namespace fabricast::ir
