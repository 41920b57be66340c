// One MoE block under expert parallelism: router, permute, dispatch, the experts (column- then row-parallel over the expert-tensor group),
// combine. With several chunks of tokens the three stages run as a pipeline on streams of their own.
//
// sequence_sharded: each rank dispatches its own shard; the expert's tensor ranks gather each other's rows before the first GEMM and
// reduce-scatter after the last. replicated: tokens are gathered over the tensor group first and every tensor rank dispatches all of them;
// partial results come back and are summed by the reduce-scatter over tokens.
#include "strategies/emission.hpp"

namespace fabricast::strategy {
namespace {

using ir::BufferKind;
using ir::Extent;

/// Where rows travel narrower than the model keeps them, an fp32 scale goes with each block (DeepEP's README: fp8 with scales by 128 channels).
constexpr std::int64_t scaled_block = 128, scale_bytes = 4;

std::int64_t dispatched_row_bytes(const ModelSpec& model) {
  const std::int64_t bytes = model.d_model * hw::element_bytes(model.dispatch_precision());
  const bool scaled = model.dispatch_precision() != model.precision;
  return scaled ? bytes + scale_bytes * ((model.d_model + scaled_block - 1) / scaled_block) : bytes;
}

/// The block's fixed facts.
struct Moe {
  const Emission& e;
  const LayerWeights& weights;
  std::int32_t layer, micro_batch;
  bool sorts;                   // rows arrive by source and must be put in expert order
  std::int64_t tokens;          // routed by this rank: its shard, or all of its tensor group
  std::int64_t width;           // of the hidden layer on this rank

  [[nodiscard]] std::int64_t top_k() const { return e.model.moe->top_k; }
  [[nodiscard]] ir::RoutingStep step(std::int32_t chunk) const { return {layer, micro_batch, chunk}; }
  [[nodiscard]] bool exchanges_in_pair() const {
    return e.degrees.expert_tensor > 1 && e.strategy.expert_input == ExpertInput::sequence_sharded;
  }
  /// Of a row on its way to the experts.
  [[nodiscard]] std::int64_t dispatched_bytes() const { return dispatched_row_bytes(e.model); }
};

Extent rows(Extent::Of of, ir::RoutingStep step) { return {of, 1, step}; }

ir::BufferId row_buffer(const Moe& m, std::string_view label, Extent extent, std::int64_t width, BufferKind kind = BufferKind::activations) {
  return m.e.builder.buffer(label, kind, extent, width * m.e.shapes.element);
}

/// On the way to the experts.
ir::BufferId dispatched_buffer(const Moe& m, std::string_view label, Extent extent, BufferKind kind = BufferKind::activations) {
  return m.e.builder.buffer(label, kind, extent, m.dispatched_bytes());
}

void emit_permute(const Moe& m, std::string_view label, Extent extent, ir::BufferSlice in, ir::BufferId out, ir::BufferId indices) {
  m.e.builder.add(stream::compute, label, hw::Permute<Extent>{extent, m.e.model.d_model, m.e.model.dispatch_precision()}, {in, whole(indices)},
                  {whole(out)});
}

/// Sends rows to their experts' ranks; a group of one keeps them.
ir::BufferId emit_dispatch(const Moe& m, ir::BufferId sent, std::int32_t chunk) {
  if (m.e.degrees.expert == 1) return sent;
  const auto received = dispatched_buffer(m, "dispatch", rows(Extent::Of::rows_received, m.step(chunk)), BufferKind::dispatch);
  const ir::AllToAll work{ir::AllToAll::Direction::dispatch, m.step(chunk), m.dispatched_bytes(), m.e.strategy.algorithms.expert};
  m.e.builder.add(stream::dispatch, "dispatch", work, {whole(sent)}, {whole(received)});
  return received;
}

ir::BufferId emit_combine(const Moe& m, ir::BufferId computed, std::int32_t chunk) {
  if (m.e.degrees.expert == 1) return computed;
  const auto returned = row_buffer(m, "combine", rows(Extent::Of::rows_sent, m.step(chunk)), m.e.model.d_model, BufferKind::dispatch);
  const ir::AllToAll work{ir::AllToAll::Direction::combine, m.step(chunk), m.e.hidden_bytes(), m.e.strategy.algorithms.expert};
  m.e.builder.add(stream::combine, "combine", work, {whole(computed)}, {whole(returned)});
  return returned;
}

ir::BufferId emit_pair_exchange(const Moe& m, ir::BufferId in, std::int32_t chunk, hw::CollectiveKind kind) {
  if (!m.exchanges_in_pair()) return in;
  const bool gathers = kind == hw::CollectiveKind::all_gather;
  const char* label = gathers ? "expert_all_gather" : "expert_reduce_scatter";
  const Extent own = rows(Extent::Of::rows_received, m.step(chunk));
  const auto out = gathers ? dispatched_buffer(m, label, rows(Extent::Of::expert_rows, m.step(chunk))) : row_buffer(m, label, own, m.e.model.d_model);
  const ir::Collective work{kind, ir::Axis::expert_tensor, own, gathers ? m.dispatched_bytes() : m.e.hidden_bytes(),
                            m.e.strategy.algorithms.tensor, gathers ? m.e.model.dispatch_precision() : m.e.model.precision};
  m.e.builder.add(gathers ? stream::expert_gather : stream::expert_scatter, label, work, {whole(in)}, {whole(out)});
  return out;
}

ir::BufferId emit_sort(const Moe& m, std::string_view label, ir::BufferId in, std::int32_t chunk, hw::RowOrder order) {
  if (!m.sorts) return in;
  const Extent extent = rows(Extent::Of::expert_rows, m.step(chunk));
  const bool arrived = order == hw::RowOrder::by_expert;
  const auto out = arrived ? dispatched_buffer(m, label, extent) : row_buffer(m, label, extent, m.e.model.d_model);
  const hw::Precision precision = arrived ? m.e.model.dispatch_precision() : m.e.model.precision;
  m.e.builder.add(stream::compute, label, hw::Permute<Extent>{extent, m.e.model.d_model, precision, order}, {whole(in)},
                  {whole(out)});
  return out;
}

/// Column-parallel, activation, row-parallel: [expert_rows, d_model] in, partial sums of the same shape out.
ir::BufferId emit_experts(const Moe& m, ir::BufferId in, std::int32_t chunk) {
  const ModelSpec& model = m.e.model;
  const ir::ExpertRows by_expert{m.step(chunk)};
  const Extent all = rows(Extent::Of::expert_rows, m.step(chunk));
  const std::int64_t up_width = m.e.up_factor() * m.width;
  const char* up_label = m.e.gated() ? "expert_gate_up" : "expert_up";
  const auto up = row_buffer(m, up_label, all, up_width);
  m.e.builder.add(stream::compute, up_label, hw::GroupedGemm<ir::ExpertRows>{by_expert, up_width, model.d_model, model.product_precision()},
                  {whole(in), whole(*m.weights.expert_gate_up)}, {whole(up)});
  const auto activated = row_buffer(m, "expert_activation", all, m.width);
  m.e.builder.add(stream::compute, "expert_activation", hw::Activation<Extent>{all, m.width, m.e.gated(), model.precision}, {whole(up)},
                  {whole(activated)});
  const auto out = row_buffer(m, "expert_down", all, model.d_model);
  m.e.builder.add(stream::compute, "expert_down", hw::GroupedGemm<ir::ExpertRows>{by_expert, model.d_model, m.width, model.product_precision()},
                  {whole(activated), whole(*m.weights.expert_down)}, {whole(out)});
  return out;
}

/// Router weights and indices, [tokens, top_k] · (fp32 weight, int32 index). In replicated mode each rank routes its shard and the results
/// are gathered, which costs less than routing all tokens on every tensor rank.
ir::BufferId emit_router(const Moe& m, ir::BufferId normed) {
  constexpr std::int64_t choice_bytes = 8;
  const std::int64_t shard = m.e.shapes.shard_tokens;
  const std::int64_t row_bytes = m.top_k() * choice_bytes;
  const auto choices = m.e.builder.buffer("router", BufferKind::activations, Extent::constant(shard), row_bytes);
  const hw::Router<Extent> work{Extent::constant(shard), m.e.model.d_model, m.e.model.moe->experts_per_layer, m.top_k(),
                                m.e.model.precision};
  m.e.builder.add(stream::compute, "router", work, {whole(normed), whole(*m.weights.router)}, {whole(choices)});
  if (m.tokens == shard) return choices;
  const auto gathered = m.e.builder.buffer("router_all_gather", BufferKind::activations, Extent::constant(m.tokens), row_bytes);
  const ir::Collective gather{hw::CollectiveKind::all_gather, ir::Axis::tensor, Extent::constant(shard), row_bytes,
                              m.e.strategy.algorithms.tensor, hw::Precision::fp32};
  m.e.builder.add(stream::tensor, "router_all_gather", gather, {whole(choices)}, {whole(gathered)});
  return gathered;
}

/// All chunks: permute and dispatch each, compute each, bring each back, then sum. Issue order lets chunk c+1 travel while c computes.
ir::BufferId emit_routed_experts(const Moe& m, ir::BufferId tokens_in, ir::BufferId choices) {
  const auto chunks = static_cast<std::int32_t>(m.e.strategy.overlap_chunks);
  const auto first_token = [&](std::int32_t chunk) { return chunk * m.tokens / chunks; };
  std::vector<ir::BufferId> arrived, returned;
  for (std::int32_t c = 0; c < chunks; ++c) {
    m.e.builder.set_chunk(c);
    const Extent sent_rows = rows(Extent::Of::rows_sent, m.step(c));
    const auto sent = dispatched_buffer(m, "permute", sent_rows, BufferKind::dispatch);
    emit_permute(m, "permute", sent_rows, rows_of(tokens_in, first_token(c), first_token(c + 1) - first_token(c)), sent, choices);
    arrived.push_back(emit_dispatch(m, sent, c));
  }
  for (std::int32_t c = 0; c < chunks; ++c) {
    m.e.builder.set_chunk(c);
    const auto gathered = emit_pair_exchange(m, arrived[static_cast<std::size_t>(c)], c, hw::CollectiveKind::all_gather);
    const auto sorted = emit_sort(m, "expert_sort", gathered, c, hw::RowOrder::by_expert);
    const auto unsorted = emit_sort(m, "expert_unsort", emit_experts(m, sorted, c), c, hw::RowOrder::by_arrival);
    const auto reduced = emit_pair_exchange(m, unsorted, c, hw::CollectiveKind::reduce_scatter);
    returned.push_back(emit_combine(m, reduced, c));
  }
  const auto out = row_buffer(m, "weighted_sum", Extent::constant(m.tokens), m.e.model.d_model);
  for (std::int32_t c = 0; c < chunks; ++c) {
    m.e.builder.set_chunk(c);
    const std::int64_t first = first_token(c), count = first_token(c + 1) - first;
    const hw::WeightedSum<Extent> work{Extent::constant(count), rows(Extent::Of::rows_sent, m.step(c)), m.e.model.d_model,
                                       m.e.model.precision};
    m.e.builder.add(stream::compute, "weighted_sum", work, {whole(returned[static_cast<std::size_t>(c)]), rows_of(choices, first, count)},
                    {rows_of(out, first, count)});
  }
  m.e.builder.set_chunk(0);
  return out;
}

}  // namespace

ir::BufferId emit_moe(const Emission& e, ir::BufferId hidden, const LayerWeights& weights, std::int32_t layer, std::int32_t micro_batch,
                      bool several_experts_per_rank) {
  const bool replicated = e.strategy.expert_input == ExpertInput::replicated;
  Moe m{e, weights, layer, micro_batch, false, replicated ? e.shapes.tokens : e.shapes.shard_tokens,
        e.model.moe->d_ff / e.degrees.expert_tensor};
  m.sorts = several_experts_per_rank && (e.degrees.expert > 1 || m.exchanges_in_pair());
  const auto normed = emit_norm(e, hidden, weights.mlp_norm, "mlp_norm");
  const auto choices = emit_router(m, normed);
  const auto tokens_in = replicated ? gather_tokens(e, normed, "mlp_all_gather") : normed;
  const auto summed = emit_routed_experts(m, tokens_in, choices);
  const auto own = replicated ? scatter_tokens(e, summed, "mlp_reduce_scatter") : summed;
  return emit_residual(e, hidden, own, "mlp_residual");
}

}  // namespace fabricast::strategy
