// Collectives that are alike share one plan, and every plan counts how often it ran: hence what each link carried.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "sim/collective_plan.hpp"
#include "sim/folding.hpp"
#include "strategies/ir/resolve.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

struct SharedPlan {
  CollectivePlan plan;
  std::int64_t uses = 0;      // collectives that ran by it
  std::int64_t running = 0;   // of those, not yet ended
};

class PlanCache {
 public:
  /// The arguments must outlive the cache. With a folding, plans are those of folded instances (folded_plan.hpp).
  PlanCache(const ir::Schedule& schedule, const hw::Topology& topology, const hw::CollectiveModel& model, FlowNetwork& network,
            const Folding* folding)
      : schedule_(schedule), topology_(topology), model_(model), network_(network), folding_(folding), paths_(topology, network),
        forgotten_bytes_(topology.links().size()) {}

  /// Counts one use, by the collective of which `op` is the first member's. The plan stays in place until it has been released as often as
  /// acquired.
  [[nodiscard]] SharedPlan& acquire(Rank first, const ir::Op& op);
  void release(SharedPlan& shared) { --shared.running; }

  /// Payload that all uses so far put on each link, by LinkId; with a folding, on the representatives of links.
  [[nodiscard]] std::vector<Bytes> link_bytes() const;

 private:
  void forget_idle_plans();
  [[nodiscard]] CollectivePlan make_plan(const CollectiveRequest& asked, std::span<const Rank> members);
  void add_link_bytes(const SharedPlan& shared, std::vector<Bytes>& bytes) const;

  const ir::Schedule& schedule_;
  const hw::Topology& topology_;
  const hw::CollectiveModel& model_;
  FlowNetwork& network_;
  const Folding* folding_;
  PathTable paths_;
  std::map<CollectiveRequest, SharedPlan> plans_;
  std::size_t stored_transfers_ = 0;
  std::vector<Bytes> forgotten_bytes_;   // link bytes of plans no longer held
};

}  // namespace fabricast::sim
