#include "strategies/ir/resolve.hpp"

#include <span>
#include <stdexcept>

#include "strategies/ir/work_sizes.hpp"

namespace fabricast::ir {

namespace {

/// The sources whose tokens a rank dispatches.
struct Sources {
  std::int32_t first, last;
};

Sources dispatched_by(const RankBinding& binding) { return {binding.source, binding.source + binding.sources_dispatched}; }

std::int64_t rows_sent(const Schedule& schedule, Rank rank, RoutingStep step) {
  const Sources sources = dispatched_by(schedule.ranks[rank.index()]);
  std::int64_t sum = 0;
  for (std::int32_t source = sources.first; source < sources.last; ++source) sum += schedule.routing.rows_sent(step, source);
  return sum;
}

std::int64_t rows_received(const Schedule& schedule, Rank rank, RoutingStep step) {
  const std::int32_t position = schedule.member_of(rank, Axis::expert);
  std::int64_t sum = 0;
  for (const Rank sender : schedule.group_of(rank, Axis::expert).members) {
    const Sources sources = dispatched_by(schedule.ranks[sender.index()]);
    for (std::int32_t source = sources.first; source < sources.last; ++source) sum += schedule.routing.rows_to(step, source, position);
  }
  return sum;
}

/// Ranks whose dispatches together make up what this rank's experts compute: its own, or one for each of its expert-tensor group.
std::span<const Rank> receivers_summed(const Schedule& schedule, const Rank& rank) {
  const bool all_receive_the_same = schedule.ranks[rank.index()].sources_dispatched > 1;
  if (all_receive_the_same) return {&rank, 1};
  return schedule.group_of(rank, Axis::expert_tensor).members;
}

std::int64_t expert_rows(const Schedule& schedule, Rank rank, RoutingStep step) {
  std::int64_t sum = 0;
  for (const Rank receiver : receivers_summed(schedule, rank)) sum += rows_received(schedule, receiver, step);
  return sum;
}

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
    return hw::Attention<std::int64_t>{of(w.sequences), w.query_length, w.kv_length, w.heads, w.kv_heads, w.head_dim, w.causal, w.precision};
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
    case Extent::Of::rows_received: return extent.scale * rows_received(schedule, rank, extent.step);
    case Extent::Of::expert_rows: return extent.scale * expert_rows(schedule, rank, extent.step);
    case Extent::Of::hosted_experts: return extent.scale * hosted_experts(schedule, rank, extent.step);
  }
  throw std::logic_error("unknown kind of extent");
}

hw::ExpertRowCounts evaluate(const ExpertRows& rows, const Schedule& schedule, Rank rank) {
  const RoutingPlan& plan = schedule.routing;
  const std::int32_t position = schedule.member_of(rank, Axis::expert);
  const auto& experts = plan.hosted(rows.step.layer, position);
  hw::ExpertRowCounts counts(experts.size(), 0);
  for (const Rank receiver : receivers_summed(schedule, rank)) {
    for (const Rank sender : schedule.group_of(receiver, Axis::expert).members) {
      const Sources sources = dispatched_by(schedule.ranks[sender.index()]);
      for (std::int32_t source = sources.first; source < sources.last; ++source) {
        for (std::size_t e = 0; e < experts.size(); ++e) counts[e] += plan.rows(rows.step, source, experts[e], position);
      }
    }
  }
  return counts;
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
