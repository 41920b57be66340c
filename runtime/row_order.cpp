#include "runtime/row_order.hpp"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

namespace fabricast::runtime {
namespace {

using ir::RoutingPlan;
using ir::RoutingStep;

struct Sources {
  std::int32_t first, last;
};

Sources dispatched_by(const ir::Schedule& schedule, Rank rank) {
  const ir::RankBinding& binding = schedule.ranks[rank.index()];
  return {binding.source, binding.source + binding.sources_dispatched};
}

/// The source of the rank's own shard of tokens; a rank that dispatches for its whole tensor group names the group's first.
std::int32_t own_source(const ir::RankBinding& binding) {
  return binding.sources_dispatched > 1 ? binding.source + binding.at.tensor : binding.source;
}

struct Destination {
  std::int32_t position, expert;
  friend auto operator<=>(const Destination&, const Destination&) = default;
};

struct AddressedRow {
  Destination to;
  SentRow row;
};

/// Rows of one source, by token.
void append_rows_of(const RoutingPlan& plan, std::int32_t source, RoutingStep step, std::int32_t first_token,
                    std::vector<AddressedRow>& rows) {
  const std::int32_t top_k = plan.shape().top_k;
  const std::vector<std::int32_t> experts = plan.experts_of(step, source);
  std::vector<std::int64_t> seen(static_cast<std::size_t>(plan.shape().experts), 0);
  for (std::size_t slot = 0; slot < experts.size(); ++slot) {
    const std::int32_t expert = experts[slot];
    if (expert == RoutingPlan::no_expert) continue;
    const std::int64_t place = seen[static_cast<std::size_t>(expert)]++;
    const auto choice = static_cast<std::int32_t>(slot) % top_k, token = static_cast<std::int32_t>(slot) / top_k;
    rows.push_back({{plan.position_of(step, source, expert, place), expert}, {first_token + token, choice}});
  }
}

std::vector<std::int32_t> inverse(const std::vector<std::int32_t>& permutation) {
  std::vector<std::int32_t> result(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i) result[static_cast<std::size_t>(permutation[i])] = static_cast<std::int32_t>(i);
  return result;
}

/// Ranks whose arrivals are computed together: the expert-tensor group, or the rank alone where all of the group receive the same rows.
std::span<const Rank> receivers(const ir::Schedule& schedule, const Rank& rank) {
  if (schedule.ranks[rank.index()].sources_dispatched > 1) return {&rank, 1};
  return schedule.group_of(rank, ir::Axis::expert_tensor).members;
}

}  // namespace

std::vector<SentRow> sent_rows(const ir::Schedule& schedule, Rank rank, RoutingStep step) {
  const RoutingPlan& plan = schedule.routing;
  const Sources sources = dispatched_by(schedule, rank);
  const RoutingPlan::TokenRange range = plan.tokens_of(step.chunk);
  std::vector<AddressedRow> rows;
  for (std::int32_t source = sources.first; source < sources.last; ++source) {
    append_rows_of(plan, source, step, static_cast<std::int32_t>((source - sources.first) * (range.last - range.first)), rows);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const AddressedRow& a, const AddressedRow& b) { return a.to < b.to; });
  std::vector<SentRow> result;
  result.reserve(rows.size());
  for (const AddressedRow& row : rows) result.push_back(row.row);
  return result;
}

std::vector<std::int32_t> places_of_choices(const std::vector<SentRow>& rows, std::int64_t tokens, std::int64_t top_k) {
  std::vector<std::int32_t> places(static_cast<std::size_t>(tokens * top_k), -1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    places[static_cast<std::size_t>(rows[i].token * top_k + rows[i].choice)] = static_cast<std::int32_t>(i);
  }
  return places;
}

std::vector<std::int32_t> rows_by_expert(const ir::Schedule& schedule, Rank rank, RoutingStep step) {
  const RoutingPlan& plan = schedule.routing;
  const std::int32_t position = schedule.member_of(rank, ir::Axis::expert);
  std::map<std::int32_t, std::vector<std::int32_t>> arrived;  // by expert
  std::int32_t next = 0;
  for (const Rank receiver : receivers(schedule, rank)) {
    for (const Rank sender : schedule.group_of(receiver, ir::Axis::expert).members) {
      const Sources sources = dispatched_by(schedule, sender);
      for (const std::int32_t expert : plan.hosted(step.layer, position)) {
        for (std::int32_t source = sources.first; source < sources.last; ++source) {
          for (std::int64_t left = plan.rows(step, source, expert, position); left > 0; --left) arrived[expert].push_back(next++);
        }
      }
    }
  }
  std::vector<std::int32_t> result;
  for (const auto& [expert, rows] : arrived) result.insert(result.end(), rows.begin(), rows.end());
  return result;
}

std::vector<std::int32_t> rows_by_arrival(const ir::Schedule& schedule, Rank rank, RoutingStep step) {
  return inverse(rows_by_expert(schedule, rank, step));
}

std::vector<std::int32_t> experts_of_shard(const ir::Schedule& schedule, Rank rank, RoutingStep step) {
  const std::int32_t source = own_source(schedule.ranks[rank.index()]);
  std::vector<std::int32_t> result;
  for (step.chunk = 0; step.chunk < schedule.routing.shape().chunks; ++step.chunk) {
    const auto experts = schedule.routing.experts_of(step, source);
    result.insert(result.end(), experts.begin(), experts.end());
  }
  return result;
}

}  // namespace fabricast::runtime
