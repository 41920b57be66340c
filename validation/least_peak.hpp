// Memory that a schedule needs whatever its buffers' places: what a search asks before the exact plan, which takes longer than a simulation where
// micro-batches are many.
#pragma once

#include "strategies/ir/rank_classes.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::validation {

/// The most bytes alive at once in program order on the fullest rank, parameters included: at most ir::plan_memory's peak. `by_size`:
/// ir::classes_by_size.
[[nodiscard]] Bytes least_peak(const ir::Schedule& schedule, const ir::RankClasses& by_size);

}  // namespace fabricast::validation
