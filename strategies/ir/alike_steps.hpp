// Routing steps that deal alike, so that what one of them moves and feeds to experts the others do, too. Knows the routing plan alone.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "strategies/ir/routing.hpp"

namespace fabricast::ir {

/// With uniform routing: layers that host alike, and passes in which a source's rows fall on the same experts (then they do so for every
/// source). Otherwise each step is like itself alone.
class AlikeSteps {
 public:
  /// The plan must outlive it.
  explicit AlikeSteps(const RoutingPlan& routing) : routing_(routing) {}

  /// The first step asked for, of this layer or of the first layer that hosts like it, that deals like `step`.
  [[nodiscard]] RoutingStep first_like(RoutingStep step);

 private:
  [[nodiscard]] std::int32_t first_layer_like(std::int32_t layer);

  const RoutingPlan& routing_;
  std::map<std::vector<std::vector<std::int32_t>>, std::int32_t> by_hosts_;
  std::map<std::int32_t, std::int32_t> layer_like_;
  std::map<std::int32_t, std::map<std::vector<std::int64_t>, RoutingStep>> by_rows_;
};

}  // namespace fabricast::ir
