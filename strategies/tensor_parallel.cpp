// Attention, dense MLP, embedding and head under tensor parallelism with sequence-sharded tokens (Korthikanti et al. 2022): all-gather before
// the column-parallel GEMM, reduce-scatter after the row-parallel one.
#include "strategies/emission.hpp"

namespace fabricast::strategy {
namespace {

using ir::BufferKind;
using ir::Extent;

ir::BufferId activation(const Emission& e, std::string_view label, std::int64_t rows, std::int64_t width) {
  return e.builder.buffer(label, BufferKind::activations, Extent::constant(rows), width * e.shapes.element);
}

/// A product of the layers.
ir::BufferId emit_gemm(const Emission& e, std::string_view label, ir::BufferId in, ir::BufferId weight, std::int64_t rows, std::int64_t n,
                       std::int64_t k) {
  const auto out = activation(e, label, rows, n);
  e.builder.add(stream::compute, label, hw::Gemm<Extent>{Extent::constant(rows), n, k, e.model.product_precision()}, {whole(in), whole(weight)},
                {whole(out)});
  return out;
}

ir::BufferId exchange(const Emission& e, ir::BufferId in, std::string_view label, hw::CollectiveKind kind, std::int64_t rows_out) {
  if (e.degrees.tensor == 1) return in;
  const auto out = activation(e, label, rows_out, e.model.d_model);
  const ir::Collective collective{kind, ir::Axis::tensor, Extent::constant(e.shapes.shard_tokens), e.hidden_bytes(),
                                  e.strategy.algorithms.tensor, e.model.precision};
  e.builder.add(stream::tensor, label, collective, {whole(in)}, {whole(out)});
  return out;
}

}  // namespace

ir::BufferId gather_tokens(const Emission& e, ir::BufferId shard, std::string_view label) {
  return exchange(e, shard, label, hw::CollectiveKind::all_gather, e.shapes.tokens);
}

ir::BufferId scatter_tokens(const Emission& e, ir::BufferId partial, std::string_view label) {
  return exchange(e, partial, label, hw::CollectiveKind::reduce_scatter, e.shapes.shard_tokens);
}

ir::BufferId emit_norm(const Emission& e, ir::BufferId in, ir::BufferId weight, std::string_view label) {
  const auto out = activation(e, label, e.shapes.shard_tokens, e.model.d_model);
  e.builder.add(stream::compute, label, hw::RmsNorm<Extent>{Extent::constant(e.shapes.shard_tokens), e.model.d_model, e.model.precision},
                {whole(in), whole(weight)}, {whole(out)});
  return out;
}

ir::BufferId emit_residual(const Emission& e, ir::BufferId a, ir::BufferId b, std::string_view label) {
  const auto out = activation(e, label, e.shapes.shard_tokens, e.model.d_model);
  e.builder.add(stream::compute, label,
                hw::ResidualAdd<Extent>{Extent::constant(e.shapes.shard_tokens), e.model.d_model, e.model.precision}, {whole(a), whole(b)},
                {whole(out)});
  return out;
}

ir::BufferId emit_embedding(const Emission& e, ir::BufferId table) {
  constexpr std::int64_t token_id_bytes = 4;
  const auto ids = e.builder.buffer("token_ids", BufferKind::input, Extent::constant(e.shapes.tokens), token_id_bytes);
  const auto out = activation(e, "embedding", e.shapes.tokens, e.model.d_model);
  const hw::Embedding<Extent> work{Extent::constant(e.shapes.tokens), e.model.d_model, e.model.vocab_size / e.degrees.tensor,
                                   e.model.precision};
  e.builder.add(stream::compute, "embedding", work, {whole(ids), whole(table)}, {whole(out)});
  return scatter_tokens(e, out, "embedding_reduce_scatter");
}

ir::BufferId emit_attention(const Emission& e, ir::BufferId hidden, const LayerWeights& weights) {
  const ModelSpec& m = e.model;
  const Shapes& s = e.shapes;
  const std::int64_t qkv_width = (s.heads + 2 * s.kv_heads) * m.d_head;
  const auto normed = emit_norm(e, hidden, weights.attention_norm, "attention_norm");
  const auto gathered = gather_tokens(e, normed, "attention_all_gather");
  const auto qkv = emit_gemm(e, "qkv_projection", gathered, weights.qkv, s.tokens, qkv_width, m.d_model);
  const hw::Rope<Extent> rope{Extent::constant(s.tokens), (s.heads + s.kv_heads) * m.d_head, m.precision, m.d_head,
                              e.workload.sequence_length};
  e.builder.add(stream::compute, "rope", rope, {whole(qkv)}, {whole(qkv)});
  const auto attended = activation(e, "attention", s.tokens, s.heads * m.d_head);
  const hw::Attention<Extent> work{Extent::constant(s.sequences), e.workload.sequence_length, e.workload.sequence_length, s.heads,
                                   s.kv_heads, m.d_head, m.causal, m.precision};
  e.builder.add(stream::compute, "attention", work, {whole(qkv)}, {whole(attended)});
  const auto projected = emit_gemm(e, "output_projection", attended, weights.output, s.tokens, m.d_model, s.heads * m.d_head);
  const auto scattered = scatter_tokens(e, projected, "attention_reduce_scatter");
  return emit_residual(e, hidden, scattered, "attention_residual");
}

ir::BufferId emit_dense_mlp(const Emission& e, ir::BufferId hidden, const LayerWeights& weights) {
  const ModelSpec& m = e.model;
  const std::int64_t width = m.d_ff / e.degrees.tensor;
  const auto normed = emit_norm(e, hidden, weights.mlp_norm, "mlp_norm");
  const auto gathered = gather_tokens(e, normed, "mlp_all_gather");
  const auto up = emit_gemm(e, e.gated() ? "mlp_gate_up" : "mlp_up", gathered, *weights.gate_up, e.shapes.tokens, e.up_factor() * width,
                            m.d_model);
  const auto activated = activation(e, "mlp_activation", e.shapes.tokens, width);
  e.builder.add(stream::compute, "mlp_activation", hw::Activation<Extent>{Extent::constant(e.shapes.tokens), width, e.gated(), m.precision},
                {whole(up)}, {whole(activated)});
  const auto down = emit_gemm(e, "mlp_down", activated, *weights.down, e.shapes.tokens, m.d_model, width);
  const auto scattered = scatter_tokens(e, down, "mlp_reduce_scatter");
  return emit_residual(e, hidden, scattered, "mlp_residual");
}

void emit_head(const Emission& e, ir::BufferId hidden, ir::BufferId norm_weight, ir::BufferId head) {
  const auto normed = emit_norm(e, hidden, norm_weight, "final_norm");
  const auto gathered = gather_tokens(e, normed, "head_all_gather");
  const std::int64_t rows = e.workload.head_on_all_tokens ? e.shapes.tokens : e.shapes.sequences;
  const std::int64_t columns = e.model.vocab_size / e.degrees.tensor;
  const auto logits = e.builder.buffer("head", BufferKind::logits, Extent::constant(rows), columns * e.shapes.element);
  e.builder.add(stream::compute, "head", hw::Gemm<Extent>{Extent::constant(rows), columns, e.model.d_model, e.model.precision},
                {whole(gathered), whole(head)}, {whole(logits)});
}

}  // namespace fabricast::strategy
