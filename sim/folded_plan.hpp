// A collective's plan for classes of ranks instead of ranks. Knows no time.
#pragma once

#include <span>

#include "sim/collective_plan.hpp"
#include "sim/folding.hpp"

namespace fabricast::sim {

/// One transfer for all of the plan that are alike, in this group and in those like it: between the places of their ends' classes among the
/// members of the folded instance, over the representatives of their links' classes. A link that n of them cross counts them n times. Of a
/// message, the places stay. `ranks`: the members that `plan` numbers.
[[nodiscard]] CollectivePlan fold_plan(const CollectivePlan& plan, std::span<const Rank> ranks, std::span<const GpuId> gpu_of,
                                       bool is_message, const Folding& folding, const hw::Topology& topology, FlowNetwork& network);

}  // namespace fabricast::sim
