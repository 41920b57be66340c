#include "validation/description.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "hardware_models/collective_model.hpp"
#include "hardware_models/equipment.hpp"
#include "strategies/ir/resolve.hpp"
#include "validation/op_classes.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

using AxisTable = std::array<std::optional<AxisDescription>, ir::axis_count>;

std::vector<NodeId> nodes_of(const std::vector<Rank>& members, const Plan& plan) {
  std::vector<NodeId> nodes;
  for (const Rank rank : members) nodes.push_back(plan.topology.node_of(plan.schedule.ranks[rank.index()].gpu));
  return nodes;
}

void add_group(AxisTable& axes, const ir::Group& group, const Plan& plan) {
  const auto size = static_cast<std::int64_t>(group.members.size());
  const std::vector<NodeId> nodes = nodes_of(group.members, plan);
  const auto distinct = static_cast<std::int64_t>(std::set<NodeId>(nodes.begin(), nodes.end()).size());
  auto& axis = axes[static_cast<std::size_t>(group.axis)];
  if (!axis) axis = AxisDescription{group.axis, 0, size, size, 0, group.members, 0, 0, 0};
  axis->groups += 1;
  axis->least_members = std::min(axis->least_members, size);
  axis->most_members = std::max(axis->most_members, size);
  axis->most_nodes = std::max(axis->most_nodes, distinct);
}

/// Counts what the instance's transfers carry; shares are divided by the ranks later.
void add_instance(AxisDescription& axis, const ir::ResolvedCollective& collective, const Plan& plan, const hw::CollectiveModel& model) {
  const std::vector<NodeId> nodes = nodes_of(collective.members, plan);
  const hw::CollectiveAlgorithm algorithm = model.choose(collective.kind, collective.algorithm, nodes, collective.size).algorithm;
  axis.instances += 1;
  for (const hw::Phase& phase : hw::lower(collective.kind, algorithm, nodes, collective.counts, collective.tokens)) {
    for (const hw::Transfer& transfer : phase.transfers) {
      if (hw::is_switch(transfer.source)) continue;  // not a rank's to send
      const auto bytes = static_cast<double>(transfer.bytes.value());
      axis.bytes_sent += bytes;
      const bool leaves = hw::is_switch(transfer.destination)
                              ? transfer.destination == hw::network_switch
                              : nodes[static_cast<std::size_t>(transfer.source)] != nodes[static_cast<std::size_t>(transfer.destination)];
      if (leaves) axis.bytes_leaving_node += bytes;
    }
  }
}

std::vector<AxisDescription> describe_axes(const Plan& plan, const hw::CollectiveModel& model) {
  AxisTable axes;
  for (const ir::Group& group : plan.schedule.groups) add_group(axes, group, plan);
  for (const ir::Instance& instance : plan.instances.all) {
    const ir::InstanceMember first = instance.members.front();
    const ir::Op& op = plan.schedule.program_of(first.rank).ops[first.op.index()];
    auto& axis = axes[static_cast<std::size_t>(*axis_of(op.work))];
    if (axis) add_instance(*axis, ir::resolve_collective(plan.schedule, first.rank, op), plan, model);
  }
  std::vector<AxisDescription> result;
  for (auto& axis : axes) {
    if (!axis || axis->most_members < 2) continue;
    axis->bytes_sent /= static_cast<double>(plan.schedule.ranks.size());
    axis->bytes_leaving_node /= static_cast<double>(plan.schedule.ranks.size());
    result.push_back(std::move(*axis));
  }
  return result;
}

std::vector<ProgramDescription> describe_programs(const ir::Schedule& schedule) {
  std::vector<ProgramDescription> programs;
  for (const ir::Program& program : schedule.programs) {
    programs.push_back({program.name, 0, {}});
    for (const ir::Op& op : program.ops) ++programs.back().ops_by_kind[std::string(ir::kind_of(op.work))];
  }
  for (const ir::RankBinding& rank : schedule.ranks) ++programs[rank.program.index()].ranks;
  return programs;
}

std::vector<RankDescription> describe_placement(const Plan& plan) {
  std::vector<RankDescription> ranks;
  for (std::size_t r = 0; r < plan.schedule.ranks.size(); ++r) {
    const ir::RankBinding& binding = plan.schedule.ranks[r];
    const Rank rank{static_cast<std::int32_t>(r)};
    ranks.push_back({rank, plan.topology.node_of(binding.gpu), plan.topology.slot_of(binding.gpu), plan.schedule.program_of(rank).name,
                     binding.at});
  }
  return ranks;
}

}  // namespace

Description describe(const Experiment& experiment, const Plan& plan) {
  Description result;
  result.experiment = experiment.name;
  result.ranks = static_cast<std::int64_t>(plan.schedule.ranks.size());
  result.nodes = plan.topology.nodes();
  result.tokens_per_step = plan.schedule.tokens;
  result.cluster = describe_cluster(experiment.cluster, plan.topology);
  result.axes = describe_axes(plan, hw::CollectiveModel(experiment.cluster.collectives));
  result.programs = describe_programs(plan.schedule);
  result.placement = describe_placement(plan);
  const ir::RankClasses by_size = ir::classes_by_size(plan.schedule);
  result.memory = summarize_memory(plan.schedule, by_size, experiment.cluster.memory_reserve, hw::least_memory(experiment.cluster));
  result.expert_load = summarize_expert_load(plan.schedule, by_size);
  return result;
}

}  // namespace fabricast::validation
