// The guide's model, workload and strategy for tests, written out so that a test does not depend on a config file. Knows no hardware.
#pragma once

#include "strategies/model_spec.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::tests {

inline strategy::ModelSpec guide_model() {
  strategy::ModelSpec model;
  model.name = "guide";
  model.layers = 16;
  model.d_model = 4096;
  model.n_heads = 32;
  model.n_kv_heads = 32;
  model.d_head = 128;
  model.vocab_size = 51200;
  model.max_sequence_length = 10000;
  model.d_ff = 16384;
  model.moe = strategy::MoeSpec{64, 2, 16384};
  return model;
}

inline strategy::WorkloadSpec guide_workload() {
  strategy::WorkloadSpec workload;
  workload.sequences = 128;
  workload.sequence_length = 10000;
  return workload;
}

inline strategy::StrategySpec guide_strategy() {
  strategy::StrategySpec strategy;
  strategy.tensor = 2;
  strategy.expert = 64;
  return strategy;
}

}  // namespace fabricast::tests
