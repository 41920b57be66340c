// The sizes of all parallel axes, derived and checked. world = pipeline·tensor·context·data = pipeline·expert·expert_tensor·expert_data.
#pragma once

#include <cstdint>

#include "strategies/model_spec.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::strategy {

struct Degrees {
  std::int64_t world, tensor, context, data, pipeline, expert, expert_tensor, expert_data;
  [[nodiscard]] std::int64_t stage_ranks() const { return world / pipeline; }
  [[nodiscard]] std::int64_t replicas() const { return data * context; }
};

/// Throws hw::ConfigError naming the key, its value and a remedy: product ≠ ranks, heads % tensor, layers % stages, experts % expert, …
[[nodiscard]] Degrees derive_degrees(const StrategySpec& strategy, const ModelSpec& model, const WorkloadSpec& workload, std::int64_t world);

}  // namespace fabricast::strategy
