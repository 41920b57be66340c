// Which model coordinates each rank has, and the groups that follow. Rank r runs on GPU r; axis order decides which coordinates lie in
// one node. Knows no model and no ops.
//
// Within a stage the *logical* index is tensor + tensor_degree · (context + context_degree · data), whatever the axis order; the expert
// coordinates factor it anew: expert_tensor innermost, then expert, then expert_data.
#pragma once

#include <vector>

#include "strategies/degrees.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::strategy {

struct Placement {
  std::vector<ir::RankBinding> ranks;   // program is the stage
  std::vector<ir::Group> groups;
};

/// axis_order, innermost first, is a permutation of tensor, context, data, pipeline; empty means that order. Throws hw::ConfigError.
[[nodiscard]] Placement place(const Degrees& degrees, const std::vector<ir::Axis>& axis_order);

}  // namespace fabricast::strategy
