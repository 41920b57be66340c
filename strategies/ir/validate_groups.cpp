// Do groups and the bindings of their members tell the same story, and does every rank have what its program asks for?
#include <fmt/format.h>

#include <array>
#include <optional>

#include "strategies/ir/validate.hpp"
#include "strategies/ir/validate_parts.hpp"
#include "strategies/ir/work_sizes.hpp"

namespace fabricast::ir {

namespace {

/// What a program asks of the ranks that run it, each with the first op that does.
struct Needs {
  std::array<std::optional<OpIndex>, axis_count> axes;
  std::optional<OpIndex> routing;
  std::optional<OpIndex> expert_rows;   // sums over the expert-tensor group
  std::vector<OpIndex> messages;        // all sends and receives
};

class NeedsOf {
 public:
  explicit NeedsOf(const Program& program) : program_(program) {}

  Needs collect() {
    for (std::size_t i = 0; i < program_.ops.size(); ++i) {
      op_ = OpIndex{static_cast<std::int32_t>(i)};
      add_work(program_.ops[i].work);
      for (const BufferSlice& slice : program_.ops[i].reads) add_slice(slice);
      for (const BufferSlice& slice : program_.ops[i].writes) add_slice(slice);
    }
    return std::move(needs_);
  }

 private:
  void note(std::optional<OpIndex>& first) const {
    if (!first) first = op_;
  }
  void add_axis(Axis axis) { note(needs_.axes[static_cast<std::size_t>(axis)]); }

  void add_extent(const Extent& extent) {
    if (extent.of == Extent::Of::constant) return;
    note(needs_.routing);
    if (extent.of == Extent::Of::rows_sent) return;
    add_axis(Axis::expert);
    if (extent.of == Extent::Of::expert_rows) add_expert_rows();
  }

  void add_expert_rows() {
    note(needs_.expert_rows);
    add_axis(Axis::expert_tensor);
  }

  void add_slice(const BufferSlice& slice) {
    add_extent(program_.buffers[slice.buffer.index()].rows);
    add_extent(slice.first);
    if (slice.rows) add_extent(*slice.rows);
  }

  void add_work(const Work& work) {
    for_each_size(work, Overloaded{[&](const Extent& extent) { add_extent(extent); },
                                   [&](const ExpertRows&) {
                                     note(needs_.routing);
                                     add_axis(Axis::expert);
                                     add_expert_rows();
                                   },
                                   [&](const RoutingStep&) {
                                     note(needs_.routing);
                                     add_axis(Axis::expert);
                                   }});
    if (const auto* collective = std::get_if<Collective>(&work)) add_axis(collective->axis);
    if (const auto* send = std::get_if<Send>(&work)) add_message(send->axis);
    if (const auto* recv = std::get_if<Recv>(&work)) add_message(recv->axis);
  }

  void add_message(Axis axis) {
    add_axis(axis);
    needs_.messages.push_back(op_);
  }

  const Program& program_;
  Needs needs_;
  OpIndex op_{};
};

class BindingCheck {
 public:
  BindingCheck(const Schedule& schedule, Rank rank) : schedule_(schedule), binding_(schedule.ranks[rank.index()]), rank_(rank) {}

  void run(const Needs& needs) const {
    for (std::size_t a = 0; a < axis_count; ++a) {
      if (needs.axes[a]) check_group(static_cast<Axis>(a), *needs.axes[a]);
    }
    for (const OpIndex op : needs.messages) check_message(op);
    if (needs.routing) check_sources(*needs.routing);
    const auto expert = needs.axes[static_cast<std::size_t>(Axis::expert)];
    if (expert) check_expert_group(*expert);
    if (needs.expert_rows) check_expert_tensor_group(*needs.expert_rows);
  }

 private:
  [[noreturn]] void fail(OpIndex op, const std::string& message) const {
    throw ScheduleError(fmt::format("{}: {}", describe(schedule_, rank_, op), message));
  }

  void check_group(Axis axis, OpIndex op) const {
    const GroupId id = binding_.groups[static_cast<std::size_t>(axis)];
    const std::int32_t member = binding_.members[static_cast<std::size_t>(axis)];
    const bool exists = id.value >= 0 && id.index() < schedule_.groups.size() && schedule_.groups[id.index()].axis == axis;
    if (!exists) {
      fail(op, fmt::format("needs a {0} group, but the rank's binding names group {1}, which is no {0} group", name_of(axis), id.value));
    }
    const auto& members = schedule_.groups[id.index()].members;
    const bool holds =
        member >= 0 && static_cast<std::size_t>(member) < members.size() && members[static_cast<std::size_t>(member)] == rank_;
    if (!holds) fail(op, fmt::format("member {} of {} group {} is not this rank", member, name_of(axis), id.value));
  }

  void check_message(OpIndex op) const {
    const Work& work = schedule_.program_of(rank_).ops[op.index()].work;
    const auto* send = std::get_if<Send>(&work);
    const Axis axis = send ? send->axis : std::get<Recv>(work).axis;
    const std::int32_t peer = send ? send->peer : std::get<Recv>(work).peer;
    const std::size_t size = schedule_.group_of(rank_, axis).members.size();
    if (peer < 0 || static_cast<std::size_t>(peer) >= size) {
      fail(op, fmt::format("peer {} does not exist in its {} group of {}", peer, name_of(axis), size));
    }
    if (peer == schedule_.member_of(rank_, axis)) fail(op, fmt::format("{} with itself as peer", kind_of(work)));
  }

  void check_sources(OpIndex op) const {
    const std::int32_t sources = schedule_.routing.shape().sources, last = binding_.source + binding_.sources_dispatched;
    if (binding_.source >= 0 && binding_.sources_dispatched >= 1 && last <= sources) return;
    fail(op, fmt::format("the rank dispatches for sources [{}, {}) of a routing plan with {}", binding_.source, last, sources));
  }

  void check_expert_group(OpIndex op) const {
    const auto size = schedule_.group_of(rank_, Axis::expert).members.size();
    const std::int32_t positions = schedule_.routing.shape().expert_positions;
    if (size != static_cast<std::size_t>(positions)) {
      fail(op, fmt::format("an expert group of {} for a routing plan with {} expert positions", size, positions));
    }
  }

  void check_expert_tensor_group(OpIndex op) const {
    for (const Rank other : schedule_.group_of(rank_, Axis::expert_tensor).members) {
      const RankBinding& binding = schedule_.ranks[other.index()];
      if (binding.sources_dispatched != binding_.sources_dispatched) {
        fail(op, fmt::format("dispatches for {} sources, rank {} of its expert_tensor group for {}", binding_.sources_dispatched,
                             other.value, binding.sources_dispatched));
      }
      if (schedule_.member_of(other, Axis::expert) != schedule_.member_of(rank_, Axis::expert)) {
        fail(op, fmt::format("holds other experts than rank {} of its expert_tensor group", other.value));
      }
    }
  }

  const Schedule& schedule_;
  const RankBinding& binding_;
  Rank rank_;
};

}  // namespace

void check_groups(const Schedule& schedule) {
  for (std::size_t g = 0; g < schedule.groups.size(); ++g) {
    const Group& group = schedule.groups[g];
    const auto axis = static_cast<std::size_t>(group.axis);
    if (axis >= axis_count || group.members.empty()) throw ScheduleError(fmt::format("group {}: no axis or no members", g));
    for (std::size_t m = 0; m < group.members.size(); ++m) {
      const Rank rank = group.members[m];
      if (rank.value < 0 || rank.index() >= schedule.ranks.size()) {
        throw ScheduleError(fmt::format("{} group {}: member {} is rank {}, which does not exist", name_of(group.axis), g, m, rank.value));
      }
      const RankBinding& binding = schedule.ranks[rank.index()];
      if (binding.groups[axis].index() != g || static_cast<std::size_t>(binding.members[axis]) != m) {
        throw ScheduleError(fmt::format("{0} group {1}: its member {2} is rank {3}, whose binding says member {4} of {0} group {5}",
                                        name_of(group.axis), g, m, rank.value, binding.members[axis], binding.groups[axis].value));
      }
    }
  }
}

void check_bindings(const Schedule& schedule) {
  std::vector<Needs> needs;
  for (const Program& program : schedule.programs) needs.push_back(NeedsOf(program).collect());
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    BindingCheck(schedule, Rank{static_cast<std::int32_t>(r)}).run(needs[schedule.ranks[r].program.index()]);
  }
}

}  // namespace fabricast::ir
