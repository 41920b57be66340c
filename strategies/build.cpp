#include "strategies/build.hpp"

#include "strategies/degrees.hpp"
#include "strategies/ir/validate.hpp"
#include "strategies/placement.hpp"
#include "strategies/routing_builder.hpp"
#include "strategies/stage.hpp"

namespace fabricast::strategy {
namespace {

/// Every tensor rank of a group dispatches for the whole group: sources are the group's, starting with its first.
void dispatch_for_whole_group(std::vector<ir::RankBinding>& ranks, const Degrees& degrees) {
  for (ir::RankBinding& binding : ranks) {
    binding.source -= binding.at.tensor;
    binding.sources_dispatched = static_cast<std::int32_t>(degrees.tensor);
  }
}

/// Where each source of a stage sees the copies of experts. Stages of one job are alike up to a shift of nodes, so the first one serves all.
std::vector<SourcePlace> source_places(const Placement& placement, const Degrees& degrees, const hw::Topology& topology) {
  std::vector<SourcePlace> places(static_cast<std::size_t>(degrees.stage_ranks()));
  for (const ir::RankBinding& binding : placement.ranks) {
    if (binding.at.stage != 0) continue;
    SourcePlace& place = places[static_cast<std::size_t>(binding.source)];
    place.node = topology.node_of(binding.gpu);
    place.position = binding.at.expert;
    const auto& group = placement.groups[binding.groups[static_cast<std::size_t>(ir::Axis::expert)].index()];
    for (const Rank member : group.members) place.position_nodes.push_back(topology.node_of(placement.ranks[member.index()].gpu));
  }
  return places;
}

}  // namespace

ir::Schedule build_schedule(const ModelSpec& model, const WorkloadSpec& workload, const StrategySpec& strategy, const RoutingSpec& routing,
                            const hw::Topology& topology) {
  const Degrees degrees = derive_degrees(strategy, model, workload, topology.gpus());
  ir::Schedule schedule;
  LabelTable labels;
  for (std::int32_t stage = 0; stage < degrees.pipeline; ++stage) {
    schedule.programs.push_back(emit_stage({model, workload, strategy, degrees, stage}, labels));
  }
  schedule.labels = labels.take();
  Placement placement = place(degrees, strategy.axis_order);
  schedule.routing = build_routing(model, workload, strategy, routing, degrees);
  if (model.moe) {
    auto hosts = expert_hosts(model, strategy.expert_placement, degrees.expert);
    std::vector<std::vector<std::vector<ir::Replicas>>> nearest;
    if (strategy.expert_placement == ExpertPlacement::replicated) nearest = nearest_replicas(hosts, source_places(placement, degrees, topology));
    schedule.routing.place_experts(std::move(hosts), std::move(nearest));
  }
  if (model.moe && strategy.expert_input == ExpertInput::replicated) dispatch_for_whole_group(placement.ranks, degrees);
  schedule.ranks = std::move(placement.ranks);
  schedule.groups = std::move(placement.groups);
  schedule.tokens = workload.sequences * workload.sequence_length;
  ir::validate(schedule);
  return schedule;
}

}  // namespace fabricast::strategy
