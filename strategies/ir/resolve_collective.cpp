// Sizes of collectives: who contributes how many bytes.
#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "strategies/ir/resolve.hpp"

namespace fabricast::ir {

namespace {

// Fewer to a kind, and looking at them kind by kind costs as much as pair by pair.
constexpr std::size_t members_per_kind = 8;

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

/// Numbers kinds in the order in which they come.
class Kinds {
 public:
  explicit Kinds(std::size_t most) : most_(most) {}

  /// Of the next member. False where kinds are too many.
  [[nodiscard]] bool add(const std::vector<std::int64_t>& sizes) {
    if (!of_.empty() && *in_order_[of_.back()] == sizes) {   // as most often
      of_.push_back(of_.back());
      return true;
    }
    const auto [kind, is_new] = numbers_.try_emplace(sizes, static_cast<std::int32_t>(numbers_.size()));
    if (is_new) in_order_.push_back(&kind->first);
    of_.push_back(kind->second);
    return numbers_.size() <= most_;
  }

  [[nodiscard]] std::int32_t size() const { return static_cast<std::int32_t>(numbers_.size()); }
  [[nodiscard]] const std::vector<std::int64_t>& operator[](std::size_t kind) const { return *in_order_[kind]; }
  [[nodiscard]] std::vector<std::int32_t> take() { return std::move(of_); }

 private:
  std::size_t most_;
  std::map<std::vector<std::int64_t>, std::int32_t> numbers_;
  std::vector<const std::vector<std::int64_t>*> in_order_;   // by kind
  std::vector<std::int32_t> of_;                             // by member
};

/// What the members dispatch to one another, where they are of few kinds.
std::optional<hw::PieceTable> dispatch_table(const Schedule& schedule, std::span<const Rank> members, RoutingStep step, std::int64_t row_bytes) {
  const std::size_t n = members.size(), most = std::max<std::size_t>(1, n / members_per_kind);
  Kinds senders(most), receivers(most);
  std::vector<std::int64_t> rows(n);
  for (const Rank sender : members) {
    dispatch_rows(schedule, sender, step, rows);
    if (!senders.add(rows)) return std::nullopt;
  }
  std::vector<std::int64_t> column(static_cast<std::size_t>(senders.size()));
  for (std::size_t member = 0; member < n; ++member) {
    for (std::size_t kind = 0; kind < column.size(); ++kind) column[kind] = senders[kind][member];
    if (!receivers.add(column)) return std::nullopt;
  }
  std::vector<Bytes> pieces;
  for (std::size_t sender = 0; sender < column.size(); ++sender) {
    for (std::int32_t receiver = 0; receiver < receivers.size(); ++receiver) {
      pieces.emplace_back(receivers[static_cast<std::size_t>(receiver)][sender] * row_bytes);
    }
  }
  const std::int32_t sender_kinds = senders.size(), receiver_kinds = receivers.size();
  return hw::PieceTable{senders.take(), receivers.take(), sender_kinds, receiver_kinds, std::move(pieces)};
}

/// Who sent receives.
hw::PieceTable turned_round(hw::PieceTable table) {
  std::vector<Bytes> pieces;
  for (std::int32_t receiver = 0; receiver < table.receivers; ++receiver) {
    for (std::int32_t sender = 0; sender < table.senders; ++sender) pieces.push_back(table.between(sender, receiver));
  }
  return {std::move(table.receives_as), std::move(table.sends_as), table.receivers, table.senders, std::move(pieces)};
}

class Resolve {
 public:
  Resolve(const Schedule& schedule, Rank member, bool briefly) : schedule_(schedule), member_(member), briefly_(briefly) {}

  ResolvedCollective operator()(const Collective& c) const {
    ResolvedCollective result{c.kind, c.algorithm, c.axis, schedule_.group_of(member_, c.axis).members, {}, {}, {}, {}};
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
        {Bytes(a.row_bytes), shape.top_k, shape.experts, a.direction == AllToAll::Direction::combine, shape.reach}, {}};
    const std::size_t n = result.members.size();
    const bool combines = a.direction == AllToAll::Direction::combine;
    if (auto table = briefly_ ? dispatch_table(schedule_, result.members, a.step, a.row_bytes) : std::nullopt) {
      result.table = combines ? turned_round(*std::move(table)) : std::move(table);
      result.size = hw::size_of(*result.table);
      return result;
    }
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
    return {hw::CollectiveKind::send, hw::CollectiveAlgorithm::automatic, axis, {source, destination}, {size}, size, {}, {}};
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
