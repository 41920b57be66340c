// Tiny jobs for tests of the runtime: every strategy on models that run in milliseconds. Knows no executor.
#pragma once

#include <cstdint>

#include "runtime/numerics.hpp"
#include "strategies/build.hpp"
#include "tests/hardware_models/test_cluster.hpp"

namespace fabricast::tests {

/// Two layers of 8 experts, top 2, SwiGLU.
inline strategy::ModelSpec tiny_model() {
  strategy::ModelSpec model;
  model.name = "tiny";
  model.layers = 2;
  model.d_model = 32;
  model.n_heads = 4;
  model.n_kv_heads = 4;
  model.d_head = 8;
  model.vocab_size = 64;
  model.max_sequence_length = 16;
  model.d_ff = 48;
  model.precision = hw::Precision::fp32;
  model.moe = strategy::MoeSpec{8, 2, 24};
  return model;
}

struct Job {
  strategy::ModelSpec model = tiny_model();
  strategy::WorkloadSpec workload{strategy::Phase::forward, 8, 8, 1, true};
  strategy::StrategySpec strategy;
  strategy::RoutingSpec routing;
  std::int64_t nodes = 1, gpus = 1;
};

inline ir::Schedule schedule_of(const Job& job) {
  hw::ClusterSpec cluster = h100_16x8();
  cluster.nodes = job.nodes;
  cluster.node.gpus = job.gpus;
  return strategy::build_schedule(job.model, job.workload, job.strategy, job.routing, hw::Topology(cluster));
}

inline runtime::ModelShape shape_of(const strategy::ModelSpec& model) {
  runtime::ModelShape shape;
  shape.layers = model.layers;
  shape.d_model = model.d_model;
  shape.heads = model.n_heads;
  shape.kv_heads = model.n_kv_heads;
  shape.d_head = model.d_head;
  shape.vocabulary = model.vocab_size;
  shape.d_ff = model.d_ff;
  shape.gated = model.mlp == strategy::MlpKind::swiglu;
  shape.causal = model.causal;
  shape.tied_embeddings = model.tied_embeddings;
  shape.precision = model.precision;
  if (model.moe) shape.moe = runtime::MoeShape{model.moe->experts_per_layer, model.moe->top_k, model.moe->d_ff};
  for (std::int64_t layer = 0; layer < model.layers; ++layer) shape.is_moe.push_back(model.is_moe_layer(layer));
  return shape;
}

inline runtime::Problem problem_of(const Job& job) {
  return {shape_of(job.model), job.workload.sequences, job.workload.sequence_length, job.workload.micro_batches,
          job.workload.head_on_all_tokens};
}

}  // namespace fabricast::tests
