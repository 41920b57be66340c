#include "strategies/ir/resolve.hpp"

#include <numeric>
#include <stdexcept>

#include "strategies/ir/work_sizes.hpp"

namespace fabricast::ir {

namespace {

std::int64_t rows_sent(const Schedule& schedule, Rank rank, RoutingStep step) {
  const RankBinding& binding = schedule.ranks[rank.index()];
  std::int64_t sum = 0;
  for (std::int32_t i = 0; i < binding.sources_dispatched; ++i) sum += schedule.routing.rows_sent(step, binding.source + i);
  return sum;
}

/// The sources whose tokens may arrive at the rank: all that its expert group dispatches.
void append_sources(const Schedule& schedule, Rank rank, std::vector<std::int32_t>& sources) {
  for (const Rank sender : schedule.group_of(rank, Axis::expert).members) {
    const RankBinding& binding = schedule.ranks[sender.index()];
    for (std::int32_t i = 0; i < binding.sources_dispatched; ++i) sources.push_back(binding.source + i);
  }
}

hw::ExpertRowCounts rows_by_expert(const Schedule& schedule, Rank rank, RoutingStep step, const std::vector<std::int32_t>& sources) {
  const std::int32_t position = schedule.member_of(rank, Axis::expert);
  hw::ExpertRowCounts counts(schedule.routing.hosted(step.layer, position).size(), 0);
  schedule.routing.add_rows_at(step, sources, position, counts);
  return counts;
}

hw::ExpertRowCounts received_by_expert(const Schedule& schedule, Rank rank, RoutingStep step) {
  std::vector<std::int32_t> sources;
  append_sources(schedule, rank, sources);
  return rows_by_expert(schedule, rank, step, sources);
}

/// What the rank's experts compute: what it received, or what its whole expert-tensor group did.
hw::ExpertRowCounts computed_by_expert(const Schedule& schedule, Rank rank, RoutingStep step) {
  const bool all_receive_the_same = schedule.ranks[rank.index()].sources_dispatched > 1;
  if (all_receive_the_same) return received_by_expert(schedule, rank, step);
  std::vector<std::int32_t> sources;
  for (const Rank receiver : schedule.group_of(rank, Axis::expert_tensor).members) append_sources(schedule, receiver, sources);
  return rows_by_expert(schedule, rank, step, sources);
}

std::int64_t sum_of(const hw::ExpertRowCounts& counts) { return std::accumulate(counts.begin(), counts.end(), std::int64_t{0}); }

std::int64_t hosted_experts(const Schedule& schedule, Rank rank, RoutingStep step) {
  return static_cast<std::int64_t>(schedule.routing.hosted(step.layer, schedule.member_of(rank, Axis::expert)).size());
}

/// Fills in the rows of a shape of work; what communicates has no kernel.
class FillRows {
 public:
  FillRows(const Schedule& schedule, Rank rank) : schedule_(schedule), rank_(rank) {}

  std::optional<hw::Kernel> operator()(const hw::Gemm<Extent>& w) const { return hw::Gemm<std::int64_t>{of(w.m), w.n, w.k, w.precision}; }
  std::optional<hw::Kernel> operator()(const hw::GroupedGemm<ExpertRows>& w) const {
    return hw::GroupedGemm<hw::ExpertRowCounts>{evaluate(w.rows, schedule_, rank_), w.n, w.k, w.precision};
  }
  std::optional<hw::Kernel> operator()(const hw::Attention<Extent>& w) const {
    return hw::Attention<std::int64_t>{of(w.sequences), w.query_length, w.kv_length, w.heads,
                                       w.kv_heads,      w.head_dim,     w.causal,    w.precision};
  }
  std::optional<hw::Kernel> operator()(const hw::Embedding<Extent>& w) const {
    return hw::Embedding<std::int64_t>{of(w.tokens), w.width, w.vocabulary, w.precision};
  }
  std::optional<hw::Kernel> operator()(const hw::RmsNorm<Extent>& w) const {
    return hw::RmsNorm<std::int64_t>{of(w.rows), w.width, w.precision};
  }
  std::optional<hw::Kernel> operator()(const hw::Rope<Extent>& w) const {
    return hw::Rope<std::int64_t>{of(w.rows), w.width, w.precision, w.head_dim, w.sequence_length};
  }
  std::optional<hw::Kernel> operator()(const hw::ResidualAdd<Extent>& w) const {
    return hw::ResidualAdd<std::int64_t>{of(w.rows), w.width, w.precision};
  }
  std::optional<hw::Kernel> operator()(const hw::Activation<Extent>& w) const {
    return hw::Activation<std::int64_t>{of(w.rows), w.width, w.gated, w.precision};
  }
  std::optional<hw::Kernel> operator()(const hw::Router<Extent>& w) const {
    return hw::Router<std::int64_t>{of(w.rows), w.width, w.experts, w.top_k, w.precision};
  }
  std::optional<hw::Kernel> operator()(const hw::Permute<Extent>& w) const {
    return hw::Permute<std::int64_t>{of(w.rows), w.width, w.precision, w.order};
  }
  std::optional<hw::Kernel> operator()(const hw::WeightedSum<Extent>& w) const {
    return hw::WeightedSum<std::int64_t>{of(w.tokens), of(w.rows), w.width, w.precision};
  }
  std::optional<hw::Kernel> operator()(const Collective&) const { return std::nullopt; }
  std::optional<hw::Kernel> operator()(const AllToAll&) const { return std::nullopt; }
  std::optional<hw::Kernel> operator()(const Send&) const { return std::nullopt; }
  std::optional<hw::Kernel> operator()(const Recv&) const { return std::nullopt; }

 private:
  [[nodiscard]] std::int64_t of(const Extent& extent) const { return evaluate(extent, schedule_, rank_); }

  const Schedule& schedule_;
  Rank rank_;
};

}  // namespace

std::int64_t evaluate(const Extent& extent, const Schedule& schedule, Rank rank) {
  switch (extent.of) {
    case Extent::Of::constant: return extent.scale;
    case Extent::Of::rows_sent: return extent.scale * rows_sent(schedule, rank, extent.step);
    case Extent::Of::rows_received: return extent.scale * sum_of(received_by_expert(schedule, rank, extent.step));
    case Extent::Of::expert_rows: return extent.scale * sum_of(computed_by_expert(schedule, rank, extent.step));
    case Extent::Of::hosted_experts: return extent.scale * hosted_experts(schedule, rank, extent.step);
  }
  throw std::logic_error("unknown kind of extent");
}

hw::ExpertRowCounts evaluate(const ExpertRows& rows, const Schedule& schedule, Rank rank) {
  return computed_by_expert(schedule, rank, rows.step);
}

bool depends_on_rank(const Work& work) {
  bool depends = false;
  for_each_size(work, Overloaded{[&](const Extent& extent) { depends = depends || extent.of != Extent::Of::constant; },
                                 [&](const ExpertRows&) { depends = true; }, [&](const RoutingStep&) { depends = true; }});
  return depends;
}

std::optional<hw::Kernel> resolve_kernel(const Work& work, const Schedule& schedule, Rank rank) {
  return std::visit(FillRows(schedule, rank), work);
}

Bytes bytes_of(const BufferSpec& buffer, const Schedule& schedule, Rank rank) {
  return Bytes(evaluate(buffer.rows, schedule, rank) * buffer.row_bytes);
}

}  // namespace fabricast::ir
