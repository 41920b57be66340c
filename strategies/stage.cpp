#include "strategies/stage.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "strategies/pipeline.hpp"

namespace fabricast::strategy {
namespace {

using ir::BufferKind;
using ir::Extent;

using Split = ir::ParameterShard::Split;
using Blocks = std::vector<std::int64_t>;

/// Where a weight belongs: its layer and how the full matrix is split over `axis`.
ir::ParameterShard shard_of(std::int32_t layer, Blocks blocks, Split split, ir::Axis axis = ir::Axis::tensor) {
  return {layer, std::move(blocks), split, axis, false};
}

/// Columns of the matrix on one of `members` ranks.
std::int64_t columns_of(const ir::ParameterShard& shard, std::int64_t members) {
  std::int64_t columns = 0;
  for (std::size_t b = 0; b < shard.column_blocks.size(); ++b) {
    columns += shard.column_blocks[b] * (shard.sharers.empty() ? 1 : shard.sharers[b]);
  }
  return shard.split == Split::columns ? columns / members : columns;
}

/// This rank's part of the full matrix [rows, Σ blocks], split over the tensor group.
ir::BufferId weight(const Emission& e, std::string_view label, BufferKind kind, std::int64_t rows, ir::ParameterShard shard,
                    hw::Precision precision) {
  const std::int64_t columns = columns_of(shard, e.degrees.tensor);
  if (shard.split == Split::rows) rows /= e.degrees.tensor;
  return e.builder.buffer(label, kind, Extent::constant(rows), columns * hw::element_bytes(precision), std::move(shard));
}

ir::BufferId weight(const Emission& e, std::string_view label, BufferKind kind, std::int64_t rows, ir::ParameterShard shard) {
  return weight(e, label, kind, rows, std::move(shard), e.model.precision);
}

/// The same for each expert of the layer that the rank hosts, split over the expert-tensor group.
ir::BufferId expert_weight(const Emission& e, std::string_view label, std::int32_t layer, std::int64_t rows, Blocks blocks, Split split) {
  ir::ParameterShard shard = shard_of(layer, std::move(blocks), split, ir::Axis::expert_tensor);
  shard.per_expert = true;
  const std::int64_t columns = columns_of(shard, e.degrees.expert_tensor);
  if (split == Split::rows) rows /= e.degrees.expert_tensor;
  return e.builder.buffer(label, BufferKind::expert_weights, {Extent::Of::hosted_experts, rows, {layer, 0, 0}},
                          columns * hw::element_bytes(e.model.product_precision()), std::move(shard));
}

/// Columns of the first MLP matrix: gate and up, or up alone.
Blocks up_blocks(const Emission& e, std::int64_t d_ff) { return Blocks(static_cast<std::size_t>(e.up_factor()), d_ff); }

void add_expert_weights(const Emission& e, std::int32_t layer, LayerWeights& w) {
  const std::int64_t d = e.model.d_model, d_ff = e.model.moe->d_ff;
  w.router = weight(e, "router_weight", BufferKind::router_weights, d, shard_of(layer, {e.model.moe->experts_per_layer}, Split::none));
  w.expert_gate_up = expert_weight(e, "expert_gate_up_weight", layer, d, up_blocks(e, d_ff), Split::columns);
  w.expert_down = expert_weight(e, "expert_down_weight", layer, d_ff, {d}, Split::rows);
}

void add_dense_weights(const Emission& e, std::int32_t layer, LayerWeights& w) {
  const std::int64_t d = e.model.d_model;
  const hw::Precision precision = e.model.product_precision();
  w.gate_up = weight(e, "mlp_gate_up_weight", BufferKind::dense_weights, d, shard_of(layer, up_blocks(e, e.model.d_ff), Split::columns), precision);
  w.down = weight(e, "mlp_down_weight", BufferKind::dense_weights, e.model.d_ff, shard_of(layer, {d}, Split::rows), precision);
}

LayerWeights layer_weights(const Emission& e, std::int32_t layer) {
  const ModelSpec& m = e.model;
  const std::int64_t kv_width = m.n_kv_heads * m.d_head, q_width = m.n_heads * m.d_head;
  const std::int64_t sharers_of_kv_head = std::max<std::int64_t>(1, e.degrees.tensor / m.n_kv_heads);
  ir::ParameterShard qkv_shard = shard_of(layer, {q_width, kv_width, kv_width}, Split::columns);
  qkv_shard.sharers = {1, sharers_of_kv_head, sharers_of_kv_head};
  LayerWeights w{};
  w.attention_norm = weight(e, "attention_norm_weight", BufferKind::norm_weights, 1, shard_of(layer, {m.d_model}, Split::none));
  w.qkv = weight(e, "qkv_weight", BufferKind::attention_weights, m.d_model, std::move(qkv_shard), m.product_precision());
  w.output = weight(e, "output_weight", BufferKind::attention_weights, q_width, shard_of(layer, {m.d_model}, Split::rows), m.product_precision());
  w.mlp_norm = weight(e, "mlp_norm_weight", BufferKind::norm_weights, 1, shard_of(layer, {m.d_model}, Split::none));
  if (m.is_moe_layer(layer)) {
    add_expert_weights(e, layer, w);
  } else {
    add_dense_weights(e, layer, w);
  }
  return w;
}

/// Weights at the ends of the model, where this stage holds them.
struct EndWeights {
  std::optional<ir::BufferId> embedding, final_norm, head;
};

class Stage {
 public:
  Stage(const StageInput& input, LabelTable& labels)
      : input_(input),
        builder_(fmt::format("stage {}", input.stage), stream_names(), labels),
        e_{input.model, input.workload, input.strategy, input.degrees, derive_shapes(input.model, input.workload, input.degrees), builder_} {
    allocate_weights();
  }

  ir::Program emit() {
    const auto order = forward_order(stages(), static_cast<std::int32_t>(input_.workload.micro_batches), chunks());
    for (const PipelineUnit& unit : order) emit_unit(unit);
    return builder_.finish();
  }

 private:
  [[nodiscard]] std::int32_t stages() const { return static_cast<std::int32_t>(input_.degrees.pipeline); }
  [[nodiscard]] std::int32_t chunks() const { return static_cast<std::int32_t>(input_.strategy.virtual_pipeline); }
  [[nodiscard]] bool holds_first(std::int32_t chunk) const { return input_.stage == 0 && chunk == 0; }
  [[nodiscard]] bool holds_last(std::int32_t chunk) const { return input_.stage == stages() - 1 && chunk == chunks() - 1; }

  void allocate_weights() {
    const std::int64_t vocabulary = e_.model.vocab_size, d = e_.model.d_model;
    if (holds_first(0)) {
      ends_.embedding = weight(e_, "embedding_weight", BufferKind::embedding_weights, vocabulary, shard_of(0, {d}, Split::rows));
    }
    for (std::int32_t chunk = 0; chunk < chunks(); ++chunk) {
      const LayerRange range = layers_of(input_.model, input_.strategy, input_.stage, chunk);
      for (std::int64_t layer = range.first; layer < range.last; ++layer) {
        layers_.push_back(layer_weights(e_, static_cast<std::int32_t>(layer)));
      }
    }
    if (!holds_last(chunks() - 1)) return;
    ends_.final_norm = weight(e_, "final_norm_weight", BufferKind::norm_weights, 1, shard_of(0, {d}, Split::none));
    if (e_.model.tied_embeddings && ends_.embedding) {
      ends_.head = ends_.embedding;
      return;
    }
    ir::ParameterShard shard = shard_of(0, {vocabulary}, Split::columns);
    shard.is_transposed_embedding = e_.model.tied_embeddings;
    ends_.head = weight(e_, "head_weight", BufferKind::embedding_weights, d, std::move(shard));
  }

  void set_place(const PipelineUnit& unit) { builder_.set_place(fmt::format("micro-batch {}", unit.micro_batch), {0, unit.micro_batch, 0}); }

  void emit_unit(const PipelineUnit& unit) {
    const LayerRange range = layers_of(input_.model, input_.strategy, input_.stage, unit.chunk);
    set_place(unit);
    ir::BufferId hidden = holds_first(unit.chunk) ? emit_embedding(e_, *ends_.embedding) : receive(unit);
    for (std::int64_t layer = range.first; layer < range.last; ++layer) {
      builder_.set_place(fmt::format("layer {}, micro-batch {}", layer, unit.micro_batch),
                         {static_cast<std::int32_t>(layer), unit.micro_batch, 0});
      hidden = emit_layer(static_cast<std::int32_t>(layer), unit, range.first, hidden);
    }
    set_place(unit);
    if (holds_last(unit.chunk)) {
      emit_head(e_, hidden, *ends_.final_norm, *ends_.head);
    } else {
      send(unit, hidden);
    }
  }

  ir::BufferId emit_layer(std::int32_t layer, const PipelineUnit& unit, std::int64_t first_of_chunk, ir::BufferId hidden) {
    const auto per_chunk = static_cast<std::size_t>(input_.model.layers / (stages() * chunks()));
    const LayerWeights& w = layers_[static_cast<std::size_t>(unit.chunk) * per_chunk + static_cast<std::size_t>(layer - first_of_chunk)];
    hidden = emit_attention(e_, hidden, w);
    if (!input_.model.is_moe_layer(layer)) return emit_dense_mlp(e_, hidden, w);
    const bool several = input_.strategy.expert_placement != ExpertPlacement::replicated &&
                         input_.model.moe->experts_per_layer > input_.degrees.expert;
    return emit_moe(e_, hidden, w, layer, unit.micro_batch, several);
  }

  /// From the stage before, or, for a later chunk, from the last stage. The tag is the chunk that receives.
  ir::BufferId receive(const PipelineUnit& unit) {
    const auto out = builder_.buffer("pipeline_receive", BufferKind::activations, Extent::constant(e_.shapes.shard_tokens), e_.hidden_bytes());
    const std::int32_t peer = (input_.stage + stages() - 1) % stages();
    builder_.add(stream::receive, "pipeline_receive",
                 ir::Recv{ir::Axis::pipeline, peer, unit.chunk, Extent::constant(e_.shapes.shard_tokens), e_.hidden_bytes()}, {}, {whole(out)});
    return out;
  }

  void send(const PipelineUnit& unit, ir::BufferId hidden) {
    const std::int32_t peer = (input_.stage + 1) % stages();
    const std::int32_t receiving_chunk = unit.chunk + (peer == 0 ? 1 : 0);
    builder_.add(stream::send, "pipeline_send",
                 ir::Send{ir::Axis::pipeline, peer, receiving_chunk, Extent::constant(e_.shapes.shard_tokens), e_.hidden_bytes()},
                 {whole(hidden)}, {});
  }

  StageInput input_;
  ProgramBuilder builder_;
  Emission e_;
  EndWeights ends_;
  std::vector<LayerWeights> layers_;   // by chunk, then layer
};

}  // namespace

std::vector<std::string> stream_names() {
  return {"compute", "tensor", "dispatch", "expert gather", "expert scatter", "combine", "pipeline receive", "pipeline send"};
}

Shapes derive_shapes(const ModelSpec& model, const WorkloadSpec& workload, const Degrees& degrees) {
  Shapes s{};
  s.sequences = workload.sequences / (degrees.replicas() * workload.micro_batches);
  s.tokens = s.sequences * workload.sequence_length;
  s.shard_tokens = s.tokens / degrees.tensor;
  s.heads = model.n_heads / degrees.tensor;
  s.kv_heads = std::max<std::int64_t>(1, model.n_kv_heads / degrees.tensor);  // more tensor ranks than kv heads: each keeps a copy
  s.element = hw::element_bytes(model.precision);
  return s;
}

LayerRange layers_of(const ModelSpec& model, const StrategySpec& strategy, std::int32_t stage, std::int32_t chunk) {
  const std::int64_t per_chunk = model.layers / (strategy.pipeline * strategy.virtual_pipeline);
  const std::int64_t first = (chunk * strategy.pipeline + stage) * per_chunk;
  return {first, first + per_chunk};
}

ir::Program emit_stage(const StageInput& input, LabelTable& labels) { return Stage(input, labels).emit(); }

}  // namespace fabricast::strategy
