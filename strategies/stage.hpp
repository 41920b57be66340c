// The program of one pipeline stage: its weights, its model chunks, its micro-batches in order. Knows no ranks and no time.
#pragma once

#include "strategies/emission.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::strategy {

struct StageInput {
  const ModelSpec& model;
  const WorkloadSpec& workload;
  const StrategySpec& strategy;
  const Degrees& degrees;
  std::int32_t stage;
};

/// Every rank of the stage runs this program.
[[nodiscard]] ir::Program emit_stage(const StageInput& input, LabelTable& labels);

/// Layers [first, last) of model chunk `chunk` of a stage: chunks are dealt over the stages in turn.
struct LayerRange { std::int64_t first, last; };
[[nodiscard]] LayerRange layers_of(const ModelSpec& model, const StrategySpec& strategy, std::int32_t stage, std::int32_t chunk);

}  // namespace fabricast::strategy
