#include "validation/description.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include "hardware_models/collective_model.hpp"
#include "hardware_models/equipment.hpp"
#include "sim/distinct_ops.hpp"
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

struct Moved {
  Bytes sent, leaving_node;
};

/// What the transfers of one collective or message carry.
Moved moved_by(const ir::ResolvedCollective& collective, const Plan& plan, const hw::CollectiveModel& model) {
  const std::vector<NodeId> nodes = nodes_of(collective.members, plan);
  const hw::CollectiveAlgorithm algorithm = model.choose(collective.kind, collective.algorithm, nodes, collective.size).algorithm;
  Moved moved;
  for (const hw::Phase& phase : hw::lower(collective.kind, algorithm, nodes, collective.counts, collective.tokens)) {
    for (const hw::Transfer& transfer : phase.transfers) {
      if (hw::is_switch(transfer.source)) continue;  // not a rank's to send
      moved.sent += transfer.bytes;
      const bool leaves = hw::is_switch(transfer.destination)
                              ? transfer.destination == hw::network_switch
                              : nodes[static_cast<std::size_t>(transfer.source)] != nodes[static_cast<std::size_t>(transfer.destination)];
      if (leaves) moved.leaving_node += transfer.bytes;
    }
  }
  return moved;
}

/// Ops of a program that mean the same, by the first of them, and how many they are.
struct AlikeOps {
  ir::OpIndex first;
  std::int64_t count;
};
using OpsByAxis = std::array<std::vector<AlikeOps>, ir::axis_count>;

/// Collectives, and messages that the program sends.
OpsByAxis ops_by_axis(const ir::Schedule& schedule, const ir::Program& program) {
  const std::vector<ir::OpIndex> first = sim::first_alike(schedule, program);
  std::map<ir::OpIndex, std::int64_t> counts;
  for (const ir::OpIndex op : first) ++counts[op];
  OpsByAxis ops;
  for (const auto& [op, count] : counts) {
    const ir::Work& work = program.ops[op.index()].work;
    if (const auto axis = axis_of(work); axis && !std::holds_alternative<ir::Recv>(work)) {
      ops[static_cast<std::size_t>(*axis)].push_back({op, count});
    }
  }
  return ops;
}

std::vector<AxisDescription> describe_axes(const Plan& plan, const hw::CollectiveModel& model) {
  std::vector<OpsByAxis> ops;   // by program
  for (const ir::Program& program : plan.schedule.programs) ops.push_back(ops_by_axis(plan.schedule, program));
  AxisTable axes;
  std::array<Moved, ir::axis_count> moved;
  for (const ir::Group& group : plan.schedule.groups) {
    add_group(axes, group, plan);
    const auto axis = static_cast<std::size_t>(group.axis);
    for (const Rank rank : group.members) {
      for (const AlikeOps& alike : ops[plan.schedule.ranks[rank.index()].program.index()][axis]) {
        const ir::Op& op = plan.schedule.program_of(rank).ops[alike.first.index()];
        if (rank != group.members.front() && !std::holds_alternative<ir::Send>(op.work)) continue;   // the first member's
        const Moved by_one = moved_by(ir::resolve_collective(plan.schedule, rank, op), plan, model);
        axes[axis]->instances += alike.count;
        moved[axis].sent += by_one.sent * alike.count;
        moved[axis].leaving_node += by_one.leaving_node * alike.count;
      }
    }
  }
  std::vector<AxisDescription> result;
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    if (!axes[axis] || axes[axis]->most_members < 2) continue;
    const auto ranks = static_cast<double>(plan.schedule.ranks.size());
    axes[axis]->bytes_sent = static_cast<double>(moved[axis].sent.value()) / ranks;
    axes[axis]->bytes_leaving_node = static_cast<double>(moved[axis].leaving_node.value()) / ranks;
    result.push_back(std::move(*axes[axis]));
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
