// The order of rows that travel to experts and back, which sender and receiver must agree on. Knows the routing plan and who belongs to
// which group; knows no buffers and no data.
//
// Dispatched by a rank, in one step (layer, micro-batch, chunk):   by destination position, then expert, then source, then token.
// Arrived at a rank:       by sender in the order of the expert group; from each sender as it dispatched them.
// Gathered by an expert's tensor ranks:   by tensor rank; from each as they arrived there.
// By expert:               stably sorted by expert from there.
// A token whose expert has several copies goes where RoutingPlan::position_of says for its place among the source's tokens of that expert.
#pragma once

#include <cstdint>
#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::runtime {

/// `token` counts the tokens of the step's chunk over the rank's sources, one source after the other.
struct SentRow {
  std::int32_t token, choice;
};
[[nodiscard]] std::vector<SentRow> sent_rows(const ir::Schedule& schedule, Rank rank, ir::RoutingStep step);

/// For each (token, choice) its place among sent_rows; -1 where it was dropped.
[[nodiscard]] std::vector<std::int32_t> places_of_choices(const std::vector<SentRow>& rows, std::int64_t tokens, std::int64_t top_k);

/// The rows that the rank's experts compute, in order of arrival, for each row by expert; and the other way round.
[[nodiscard]] std::vector<std::int32_t> rows_by_expert(const ir::Schedule& schedule, Rank rank, ir::RoutingStep step);
[[nodiscard]] std::vector<std::int32_t> rows_by_arrival(const ir::Schedule& schedule, Rank rank, ir::RoutingStep step);

/// Experts of the tokens of the rank's own shard, all chunks: [token][choice], RoutingPlan::no_expert where dropped.
[[nodiscard]] std::vector<std::int32_t> experts_of_shard(const ir::Schedule& schedule, Rank rank, ir::RoutingStep step);

}  // namespace fabricast::runtime
