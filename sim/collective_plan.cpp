#include "sim/collective_plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "hardware_models/byte_floor.hpp"

namespace fabricast::sim {
namespace {

std::vector<NodeId> nodes_of(std::span<const GpuId> gpu_of, const hw::Topology& topology) {
  std::vector<NodeId> nodes;
  nodes.reserve(gpu_of.size());
  for (const GpuId gpu : gpu_of) nodes.push_back(topology.node_of(gpu));
  return nodes;
}

/// The model's answers for the transfers of one collective, asked once.
class TransferCosts {
 public:
  TransferCosts(hw::CollectiveKind kind, std::span<const NodeId> nodes, const hw::CollectiveModel& model)
      : step_within_(model.step_latency(false)), step_across_(model.step_latency(true)) {
    std::map<NodeId, std::int64_t> members_of;
    for (const NodeId node : nodes) ++members_of[node];
    for (const NodeId node : nodes) {
      within_.push_back(model.efficiency(kind, false, members_of[node]));
      across_.push_back(model.efficiency(kind, true, members_of[node]));
    }
  }

  [[nodiscard]] SimTime delay(const PathTable::Entry& path, std::int32_t steps) const {
    return to_sim_time((path.latency + (path.crosses_nodes ? step_across_ : step_within_)) * static_cast<double>(steps));
  }
  [[nodiscard]] Bytes wire(const hw::Transfer& transfer, bool crosses_nodes) const {
    const double efficiency = (crosses_nodes ? across_ : within_)[transfer.source];
    return Bytes(static_cast<std::int64_t>(std::ceil(static_cast<double>(transfer.bytes.value()) / efficiency)));
  }

 private:
  Seconds step_within_, step_across_;
  std::vector<double> within_, across_;  // efficiencies by member that sends
};

struct DelayedTransfer {
  SimTime delay;
  PlannedTransfer transfer;
};

std::vector<DelayedTransfer> price(const hw::Phase& phase, std::span<const GpuId> gpu_of, const TransferCosts& costs, PathTable& paths) {
  std::vector<DelayedTransfer> priced;
  priced.reserve(phase.transfers.size());
  for (const hw::Transfer& transfer : phase.transfers) {
    const PathTable::Entry path = paths.between(gpu_of[transfer.source], gpu_of[transfer.destination]);
    priced.push_back({costs.delay(path, phase.steps),
                      {transfer.source, transfer.destination, path.path, transfer.bytes, costs.wire(transfer, path.crosses_nodes)}});
  }
  return priced;
}

void append_phase(CollectivePlan& plan, std::vector<DelayedTransfer> priced) {
  std::stable_sort(priced.begin(), priced.end(), [](const auto& a, const auto& b) { return a.delay < b.delay; });
  const auto first_launch = static_cast<std::int32_t>(plan.launches.size());
  for (std::size_t i = 0; i < priced.size(); ++i) {
    const auto place = static_cast<std::int32_t>(plan.transfers.size());
    if (i == 0 || priced[i].delay != priced[i - 1].delay) plan.launches.push_back({priced[i].delay, place, place});
    plan.launches.back().last = place + 1;
    plan.transfers.push_back(priced[i].transfer);
    ++plan.transfers_of[priced[i].transfer.source];
    ++plan.transfers_of[priced[i].transfer.destination];
  }
  plan.phases.push_back({first_launch, static_cast<std::int32_t>(plan.launches.size()), static_cast<std::int32_t>(priced.size())});
}

}  // namespace

CollectivePlan plan_collective(hw::CollectiveKind kind, hw::CollectiveAlgorithm wanted, std::span<const GpuId> gpu_of,
                               hw::CollectiveCounts counts, const hw::Topology& topology, const hw::CollectiveModel& model,
                               PathTable& paths) {
  CollectivePlan plan;
  plan.transfers_of.resize(gpu_of.size());
  if (gpu_of.size() < 2) return plan;
  const std::vector<NodeId> nodes = nodes_of(gpu_of, topology);
  const TransferCosts costs(kind, nodes, model);
  for (const hw::Phase& phase : hw::lower(kind, model.choose(kind, wanted, nodes), nodes, counts)) {
    append_phase(plan, price(phase, gpu_of, costs, paths));
  }
  if (plan.transfers.empty()) return plan;
  plan.base_latency = to_sim_time(model.base_latency(kind));
  plan.floor = hw::byte_floor(kind, gpu_of, counts, topology);
  return plan;
}

}  // namespace fabricast::sim
