// What the emitters of one stage share: shapes per rank, streams, weights and the builder. Knows no time.
//
// Between blocks a rank holds the hidden states of its own shard of the tokens: [shard_tokens, d_model].
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strategies/degrees.hpp"
#include "strategies/model_spec.hpp"
#include "strategies/program_builder.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::strategy {

/// Streams of every program; StreamId is the place in stream_names().
namespace stream {
constexpr ir::StreamId compute{0}, tensor{1}, dispatch{2}, expert_gather{3}, expert_scatter{4}, combine{5}, receive{6}, send{7};
}
[[nodiscard]] std::vector<std::string> stream_names();

struct Shapes {
  std::int64_t sequences;         // of one micro-batch and replica
  std::int64_t tokens;            // sequences · sequence_length: what a tensor group works on
  std::int64_t shard_tokens;      // tokens / tensor: what a rank holds between blocks
  std::int64_t heads, kv_heads;   // of this rank
  std::int64_t element;           // bytes of one element
};
[[nodiscard]] Shapes derive_shapes(const ModelSpec& model, const WorkloadSpec& workload, const Degrees& degrees);

/// Weights of one layer on this rank, allocated once, used by every micro-batch.
struct LayerWeights {
  ir::BufferId attention_norm, qkv, output, mlp_norm;
  std::optional<ir::BufferId> gate_up, down;                         // dense
  std::optional<ir::BufferId> router, expert_gate_up, expert_down;   // MoE
};

struct Emission {
  const ModelSpec& model;
  const WorkloadSpec& workload;
  const StrategySpec& strategy;
  const Degrees& degrees;
  Shapes shapes;
  ProgramBuilder& builder;

  [[nodiscard]] std::int64_t hidden_bytes() const { return model.d_model * shapes.element; }   // of one token
  [[nodiscard]] bool gated() const { return model.mlp == MlpKind::swiglu; }
  /// Columns of the first MLP matrix over those of the second's input: gate and up side by side.
  [[nodiscard]] std::int64_t up_factor() const { return gated() ? 2 : 1; }
};

/// [tokens, d_model] from each tensor rank's shard, and back (summing partial results). With one tensor rank they return their input.
[[nodiscard]] ir::BufferId gather_tokens(const Emission& e, ir::BufferId shard, std::string_view label);
[[nodiscard]] ir::BufferId scatter_tokens(const Emission& e, ir::BufferId partial, std::string_view label);

[[nodiscard]] ir::BufferId emit_norm(const Emission& e, ir::BufferId in, ir::BufferId weight, std::string_view label);
[[nodiscard]] ir::BufferId emit_residual(const Emission& e, ir::BufferId a, ir::BufferId b, std::string_view label);

// tensor_parallel.cpp
[[nodiscard]] ir::BufferId emit_embedding(const Emission& e, ir::BufferId table);
[[nodiscard]] ir::BufferId emit_attention(const Emission& e, ir::BufferId hidden, const LayerWeights& weights);
[[nodiscard]] ir::BufferId emit_dense_mlp(const Emission& e, ir::BufferId hidden, const LayerWeights& weights);
void emit_head(const Emission& e, ir::BufferId hidden, ir::BufferId norm_weight, ir::BufferId head);

// expert_parallel.cpp
[[nodiscard]] ir::BufferId emit_moe(const Emission& e, ir::BufferId hidden, const LayerWeights& weights, std::int32_t layer,
                                    std::int32_t micro_batch, bool several_experts_per_rank);

}  // namespace fabricast::strategy
