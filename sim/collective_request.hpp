// What a collective of the schedule asks of the network: all that its plan depends on, beside cluster and model. Knows no plan and no time.
#pragma once

#include <compare>
#include <optional>
#include <utility>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/piece_table.hpp"
#include "hardware_models/units.hpp"
#include "strategies/ir/resolve.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

struct CollectiveRequest {
  hw::CollectiveKind kind;
  hw::CollectiveAlgorithm algorithm;     // may be automatic
  std::vector<GpuId> gpu_of;             // by member
  std::vector<Bytes> counts;             // as in hardware_models/collectives.hpp
  hw::TokenRouting tokens = {};          // what a deduplicated all-to-all is told
  std::optional<hw::PieceTable> table = {};   // of an all-to-all, may stand in place of counts
  friend auto operator<=>(const CollectiveRequest&, const CollectiveRequest&) = default;
};

[[nodiscard]] inline CollectiveRequest request_for(ir::ResolvedCollective collective, const ir::Schedule& schedule) {
  CollectiveRequest request{collective.kind, collective.algorithm, {}, std::move(collective.counts), collective.tokens,
                            std::move(collective.table)};
  request.gpu_of.reserve(collective.members.size());
  for (const Rank rank : collective.members) request.gpu_of.push_back(schedule.ranks[rank.index()].gpu);
  return request;
}

}  // namespace fabricast::sim
