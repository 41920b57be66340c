// What a collective of the schedule asks of the network: all that its plan depends on, beside cluster and model. Knows no plan and no time.
#pragma once

#include <compare>
#include <utility>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/units.hpp"
#include "strategies/ir/resolve.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

struct CollectiveRequest {
  hw::CollectiveKind kind;
  hw::CollectiveAlgorithm algorithm;     // may be automatic
  std::vector<GpuId> gpu_of;             // by member
  std::vector<Bytes> counts;             // as in hardware_models/collectives.hpp; of an all-to-all one may stand for all
  hw::TokenRouting tokens = {};          // what a deduplicated all-to-all is told
  friend auto operator<=>(const CollectiveRequest&, const CollectiveRequest&) = default;

  [[nodiscard]] bool one_count_for_all() const {
    return kind == hw::CollectiveKind::all_to_all && counts.size() < gpu_of.size() * gpu_of.size();
  }
};

[[nodiscard]] inline CollectiveRequest request_for(ir::ResolvedCollective collective, const ir::Schedule& schedule) {
  CollectiveRequest request{collective.kind, collective.algorithm, {}, std::move(collective.counts), collective.tokens};
  request.gpu_of.reserve(collective.members.size());
  for (const Rank rank : collective.members) request.gpu_of.push_back(schedule.ranks[rank.index()].gpu);
  return request;
}

}  // namespace fabricast::sim
