#include "sim/plan_cache.hpp"

#include <utility>

#include "sim/folded_plan.hpp"

namespace fabricast::sim {
namespace {

// Beyond this, plans that nothing runs by are dropped, so that memory does not grow with the length of a skewed schedule: about 40 MB.
constexpr std::size_t most_stored_transfers = 1'000'000;

}  // namespace

SharedPlan& PlanCache::acquire(Rank first, const ir::Op& op) {
  ir::ResolvedCollective collective = folding_ ? ir::resolve_briefly(schedule_, first, op) : ir::resolve_collective(schedule_, first, op);
  const std::vector<Rank> members = collective.members;
  CollectiveRequest asked = request_for(std::move(collective), schedule_);
  auto found = plans_.find(asked);
  if (found == plans_.end()) {
    if (stored_transfers_ > most_stored_transfers) forget_idle_plans();
    CollectivePlan plan = make_plan(asked, members);
    stored_transfers_ += plan.transfers.size();
    found = plans_.emplace(std::move(asked), SharedPlan{std::move(plan)}).first;
  }
  ++found->second.uses;
  ++found->second.running;
  return found->second;
}

CollectivePlan PlanCache::make_plan(const CollectiveRequest& asked, std::span<const Rank> members) {
  CollectivePlan plan = plan_collective(asked, topology_, model_);
  if (folding_) return fold_plan(plan, members, asked.gpu_of, asked.kind == hw::CollectiveKind::send, *folding_, topology_, network_);
  bind_paths(plan, asked.gpu_of, paths_);
  return plan;
}

std::vector<Bytes> PlanCache::link_bytes() const {
  std::vector<Bytes> bytes = forgotten_bytes_;
  for (const auto& [key, shared] : plans_) add_link_bytes(shared, bytes);
  return bytes;
}

void PlanCache::forget_idle_plans() {
  for (auto entry = plans_.begin(); entry != plans_.end();) {
    if (entry->second.running > 0) {
      ++entry;
      continue;
    }
    add_link_bytes(entry->second, forgotten_bytes_);
    stored_transfers_ -= entry->second.plan.transfers.size();
    entry = plans_.erase(entry);
  }
}

void PlanCache::add_link_bytes(const SharedPlan& shared, std::vector<Bytes>& bytes) const {
  for (const PlannedTransfer& transfer : shared.plan.transfers) {
    for (const Crossing& crossing : network_.crossings(transfer.path)) {
      bytes[static_cast<std::size_t>(crossing.link)] += transfer.payload * shared.uses * crossing.weight;
    }
  }
}

}  // namespace fabricast::sim
