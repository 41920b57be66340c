#include "sim/collective_plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "hardware_models/byte_floor.hpp"
#include "sim/kernel_loads.hpp"

namespace fabricast::sim {
namespace {

std::vector<NodeId> nodes_of(std::span<const GpuId> gpu_of, const hw::Topology& topology) {
  std::vector<NodeId> nodes;
  nodes.reserve(gpu_of.size());
  for (const GpuId gpu : gpu_of) nodes.push_back(topology.node_of(gpu));
  return nodes;
}

/// How many members share each member's node, itself included.
std::vector<std::int64_t> node_sizes(std::span<const NodeId> nodes) {
  std::map<NodeId, std::int64_t> members_of;
  for (const NodeId node : nodes) ++members_of[node];
  std::vector<std::int64_t> result;
  result.reserve(nodes.size());
  for (const NodeId node : nodes) result.push_back(members_of[node]);
  return result;
}

/// S of the convention (collectives.hpp); of an all-to-all, whose members differ, the mean.
Bytes size_of(hw::CollectiveKind kind, hw::CollectiveCounts counts, std::size_t members) {
  const Bytes sum = std::accumulate(counts.begin(), counts.end(), Bytes{});
  return kind == hw::CollectiveKind::all_to_all ? sum / static_cast<std::int64_t>(members) : sum;
}

/// The model's answers for the transfers of one phase, asked once per member.
class PhaseCosts {
 public:
  PhaseCosts(hw::CollectiveKind kind, const hw::Phase& phase, std::span<const std::int64_t> members_in_node,
             const hw::CollectiveModel& model)
      : step_within_(model.step_latency(false)), step_across_(model.step_latency(true)), steps_(phase.steps) {
    std::vector<Bytes> sent(members_in_node.size());
    for (const hw::Transfer& transfer : phase.transfers) sent[transfer.source] += transfer.bytes;
    for (std::size_t member = 0; member < sent.size(); ++member) {
      within_.push_back(model.efficiency(kind, false, members_in_node[member], sent[member]));
      across_.push_back(model.efficiency(kind, true, members_in_node[member], sent[member]));
    }
  }

  [[nodiscard]] SimTime delay(const PathTable::Entry& path) const {
    return to_sim_time((path.latency + (path.crosses_nodes ? step_across_ : step_within_)) * static_cast<double>(steps_));
  }
  [[nodiscard]] Bytes wire(const hw::Transfer& transfer, bool crosses_nodes) const {
    const double efficiency = (crosses_nodes ? across_ : within_)[transfer.source];
    return Bytes(static_cast<std::int64_t>(std::ceil(static_cast<double>(transfer.bytes.value()) / efficiency)));
  }

 private:
  Seconds step_within_, step_across_;
  std::int32_t steps_;
  std::vector<double> within_, across_;  // efficiencies by member that sends
};

struct DelayedTransfer {
  SimTime delay;
  PlannedTransfer transfer;
};

std::vector<DelayedTransfer> price(const hw::Phase& phase, std::span<const GpuId> gpu_of, const PhaseCosts& costs, PathTable& paths) {
  std::vector<DelayedTransfer> priced;
  priced.reserve(phase.transfers.size());
  for (const hw::Transfer& transfer : phase.transfers) {
    const PathTable::Entry path = paths.between(gpu_of[transfer.source], gpu_of[transfer.destination]);
    priced.push_back({costs.delay(path),
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
  plan.loads.resize(gpu_of.size());
  if (gpu_of.size() < 2) return plan;
  const std::vector<NodeId> nodes = nodes_of(gpu_of, topology);
  const std::vector<std::int64_t> sizes = node_sizes(nodes);
  const hw::CollectiveAlgorithm algorithm = model.choose(kind, wanted, nodes);
  for (const hw::Phase& phase : hw::lower(kind, algorithm, nodes, counts)) {
    append_phase(plan, price(phase, gpu_of, PhaseCosts(kind, phase, sizes, model), paths));
  }
  if (plan.transfers.empty()) return plan;
  plan.base_latency = to_sim_time(model.base_latency(kind));
  plan.floor = hw::byte_floor(kind, gpu_of, counts, topology);
  plan.loads = kernel_loads(footprint_of(kind, algorithm, size_of(kind, counts, gpu_of.size()), nodes, model), plan, gpu_of, topology);
  return plan;
}

}  // namespace fabricast::sim
