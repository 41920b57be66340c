// Makes the routing plan: how many tokens go to which expert, and where copies of experts live. Knows nodes (for "nearest"), no time.
#pragma once

#include <vector>

#include "strategies/degrees.hpp"
#include "strategies/ir/routing.hpp"
#include "strategies/model_spec.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::strategy {

/// Splits `total` over the weights with no share above `cap`: min(cap, λ·w), λ such that they sum to total. total <= cap · positive weights.
[[nodiscard]] std::vector<double> capped_shares(const std::vector<double>& weights, double total, double cap);

/// Whole numbers near `shares` with the same sum: differences of ⌊prefix sum + offset⌋, so each is its share rounded down or up. 0 <= offset < 1;
/// offsets spread over blocks make the rounding unbiased.
[[nodiscard]] std::vector<std::uint32_t> round_shares(const std::vector<double>& shares, double offset);

/// Where the expert's copies live: by layer and expert.
[[nodiscard]] std::vector<std::vector<ir::Replicas>> expert_hosts(const ModelSpec& model, ExpertPlacement placement, std::int64_t positions);

/// node[layer][source] and node_of_position[layer][source's expert group…] come from the caller as a function of the source: the node of the
/// rank at each expert position of the source's own expert group.
struct SourcePlace {
  NodeId node;
  std::int32_t position;               // the source's own expert position
  std::vector<NodeId> position_nodes;  // node of each position in its expert group
};

/// Copies that each source uses: its own position, else those of its node, else all. [layer][source][expert].
[[nodiscard]] std::vector<std::vector<std::vector<ir::Replicas>>> nearest_replicas(
    const std::vector<std::vector<ir::Replicas>>& hosts, const std::vector<SourcePlace>& sources);

/// Throws hw::ConfigError for a bad counts file. Experts are not placed yet.
[[nodiscard]] ir::RoutingPlan build_routing(const ModelSpec& model, const WorkloadSpec& workload, const StrategySpec& strategy,
                                            const RoutingSpec& routing, const Degrees& degrees);

}  // namespace fabricast::strategy
