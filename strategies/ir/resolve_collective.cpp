// Sizes of collectives: who contributes how many bytes.
#include <algorithm>
#include <numeric>
#include <span>
#include <stdexcept>

#include "strategies/ir/resolve.hpp"

namespace fabricast::ir {

namespace {

Bytes sum_of(const std::vector<Bytes>& counts) { return std::accumulate(counts.begin(), counts.end(), Bytes{}); }

bool contributes_shards(hw::CollectiveKind kind) {
  return kind == hw::CollectiveKind::all_gather || kind == hw::CollectiveKind::reduce_scatter;
}

/// to_each[d]: what member s dispatches to member d.
void dispatch_rows(const Schedule& schedule, Rank s, RoutingStep step, std::span<std::int64_t> to_each) {
  std::fill(to_each.begin(), to_each.end(), 0);
  const RankBinding& sender = schedule.ranks[s.index()];
  for (std::int32_t i = 0; i < sender.sources_dispatched; ++i) schedule.routing.add_rows_to(step, sender.source + i, to_each);
}

/// What every member has for every one, where that is the same.
std::optional<std::int64_t> equal_rows(const Schedule& schedule, std::span<const Rank> members, RoutingStep step) {
  std::vector<std::int64_t> rows(members.size());
  std::optional<std::int64_t> first;
  for (const Rank sender : members) {
    dispatch_rows(schedule, sender, step, rows);
    if (!first) first = rows.front();
    if (std::any_of(rows.begin(), rows.end(), [&](std::int64_t count) { return count != *first; })) return std::nullopt;
  }
  return first;
}

class Resolve {
 public:
  Resolve(const Schedule& schedule, Rank member, bool briefly) : schedule_(schedule), member_(member), briefly_(briefly) {}

  ResolvedCollective operator()(const Collective& c) const {
    ResolvedCollective result{c.kind, c.algorithm, c.axis, schedule_.group_of(member_, c.axis).members, {}, {}, {}};
    const auto bytes_at = [&](Rank rank) { return Bytes(evaluate(c.shard, schedule_, rank) * c.row_bytes); };
    if (contributes_shards(c.kind)) {
      for (const Rank rank : result.members) result.counts.push_back(bytes_at(rank));
    } else {
      result.counts = {bytes_at(member_)};
    }
    result.size = sum_of(result.counts);
    return result;
  }

  ResolvedCollective operator()(const AllToAll& a) const {
    const RoutingShape& shape = schedule_.routing.shape();
    ResolvedCollective result{
        hw::CollectiveKind::all_to_all, a.algorithm, Axis::expert, schedule_.group_of(member_, Axis::expert).members, {}, {},
        {Bytes(a.row_bytes), shape.top_k, shape.experts, a.direction == AllToAll::Direction::combine, shape.reach}};
    const std::size_t n = result.members.size();
    if (const auto rows = briefly_ ? equal_rows(schedule_, result.members, a.step) : std::nullopt) {
      result.counts = {Bytes(*rows * a.row_bytes)};
      result.size = result.counts.front() * static_cast<std::int64_t>(n);
      return result;
    }
    const bool combines = a.direction == AllToAll::Direction::combine;
    result.counts.resize(n * n);
    std::vector<std::int64_t> rows(n);
    for (std::size_t s = 0; s < n; ++s) {
      dispatch_rows(schedule_, result.members[s], a.step, rows);
      for (std::size_t d = 0; d < n; ++d) result.counts[combines ? d * n + s : s * n + d] = Bytes(rows[d] * a.row_bytes);
    }
    result.size = sum_of(result.counts) / static_cast<std::int64_t>(n);
    return result;
  }

  ResolvedCollective operator()(const Send& s) const { return message(s.axis, member_, peer(s.axis, s.peer), s.rows, s.row_bytes); }
  ResolvedCollective operator()(const Recv& r) const { return message(r.axis, peer(r.axis, r.peer), member_, r.rows, r.row_bytes); }

  template <template <class> class Computation, class Rows>
  ResolvedCollective operator()(const Computation<Rows>&) const {
    throw std::logic_error("resolve_collective: the op computes");
  }

 private:
  [[nodiscard]] Rank peer(Axis axis, std::int32_t index) const {
    return schedule_.group_of(member_, axis).members[static_cast<std::size_t>(index)];
  }

  [[nodiscard]] ResolvedCollective message(Axis axis, Rank source, Rank destination, const Extent& rows, std::int64_t row_bytes) const {
    const Bytes size(evaluate(rows, schedule_, member_) * row_bytes);
    return {hw::CollectiveKind::send, hw::CollectiveAlgorithm::automatic, axis, {source, destination}, {size}, size, {}};
  }

  const Schedule& schedule_;
  Rank member_;
  bool briefly_;
};

}  // namespace

ResolvedCollective resolve_collective(const Schedule& schedule, Rank member, const Op& op) {
  return std::visit(Resolve(schedule, member, false), op.work);
}

ResolvedCollective resolve_briefly(const Schedule& schedule, Rank member, const Op& op) {
  return std::visit(Resolve(schedule, member, true), op.work);
}

}  // namespace fabricast::ir
