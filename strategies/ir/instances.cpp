#include "strategies/ir/instances.hpp"

#include <algorithm>

namespace fabricast::ir {

namespace {

constexpr InstanceId no_instance{-1};

bool is_message(const Work& work) { return std::holds_alternative<Send>(work) || std::holds_alternative<Recv>(work); }

}  // namespace

std::optional<Axis> collective_axis(const Work& work) {
  if (const auto* collective = std::get_if<Collective>(&work)) return collective->axis;
  if (std::holds_alternative<AllToAll>(work)) return Axis::expert;
  return std::nullopt;
}

InstanceList::InstanceList(const Schedule& schedule, std::vector<MessageEnds> messages) : messages_(std::move(messages)) {
  for (const Program& program : schedule.programs) programs_.push_back(ops_of(program));
  copy_groups(schedule);
  number_collectives(schedule);
  number_messages(schedule);
}

InstanceList::ProgramOps InstanceList::ops_of(const Program& program) {
  ProgramOps result;
  result.places.resize(program.ops.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (const auto axis = collective_axis(program.ops[i].work)) {
      auto& of_axis = result.collectives[static_cast<std::size_t>(*axis)];
      result.places[i] = {Role::collective, *axis, static_cast<std::int32_t>(of_axis.size())};
      of_axis.push_back(OpIndex{static_cast<std::int32_t>(i)});
    } else if (is_message(program.ops[i].work)) {
      result.places[i] = {Role::message, {}, result.messages++};
    }
  }
  return result;
}

void InstanceList::copy_groups(const Schedule& schedule) {
  for (const Group& group : schedule.groups) {
    groups_.push_back(group.members);
    lowest_.push_back(*std::min_element(group.members.begin(), group.members.end()));
  }
  for (const RankBinding& binding : schedule.ranks) {
    program_of_.push_back(binding.program);
    groups_of_.push_back(binding.groups);
  }
}

void InstanceList::number_collectives(const Schedule& schedule) {
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    std::array<bool, axis_count> axes{};
    for (std::size_t axis = 0; axis < axis_count; ++axis) {
      const bool communicates = !programs_[program_of_[r].index()].collectives[axis].empty();
      axes[axis] = communicates && lowest_[groups_of_[r][axis].index()].index() == r;
    }
    numbered_of_.push_back(numbered_by(program_of_[r], axes));
    first_collective_.push_back(collectives_);
    collectives_ += numbered_[static_cast<std::size_t>(numbered_of_.back())].ops.size();
  }
}

std::int32_t InstanceList::numbered_by(ProgramId program, const std::array<bool, axis_count>& axes) {
  const auto found = std::find_if(numbered_.begin(), numbered_.end(), [&](const Numbered& known) { return known.covers(program, axes); });
  if (found != numbered_.end()) return static_cast<std::int32_t>(found - numbered_.begin());
  const auto& places = programs_[program.index()].places;
  Numbered numbered{program, axes, {}, std::vector<std::int32_t>(places.size())};
  for (std::size_t op = 0; op < places.size(); ++op) {
    if (places[op].role != Role::collective || !axes[static_cast<std::size_t>(places[op].axis)]) continue;
    numbered.place_of[op] = static_cast<std::int32_t>(numbered.ops.size());
    numbered.ops.push_back(OpIndex{static_cast<std::int32_t>(op)});
  }
  numbered_.push_back(std::move(numbered));
  return static_cast<std::int32_t>(numbered_.size()) - 1;
}

void InstanceList::number_messages(const Schedule& schedule) {
  std::size_t ends = 0;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    first_message_.push_back(ends);
    ends += static_cast<std::size_t>(programs_[program_of_[r].index()].messages);
  }
  message_of_.assign(ends, no_instance);
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    for (const InstanceMember end : messages_[i]) {
      const auto ordinal = programs_[program_of_[end.rank.index()].index()].places[end.op.index()].ordinal;
      message_of_[first_message_[end.rank.index()] + static_cast<std::size_t>(ordinal)] = InstanceId{static_cast<std::int32_t>(collectives_ + i)};
    }
  }
}

std::span<const Rank> InstanceList::group_of(Rank rank, Axis axis) const {
  return groups_[groups_of_[rank.index()][static_cast<std::size_t>(axis)].index()];
}

InstanceId InstanceList::of(Rank rank, OpIndex op) const {
  const ProgramOps& program = programs_[program_of_[rank.index()].index()];
  const Place place = program.places[op.index()];
  const auto ordinal = static_cast<std::size_t>(place.ordinal);
  switch (place.role) {
    case Role::computation: return no_instance;
    case Role::message: return message_of_[first_message_[rank.index()] + ordinal];
    case Role::collective: break;
  }
  const Rank lowest = lowest_[groups_of_[rank.index()][static_cast<std::size_t>(place.axis)].index()];
  const Numbered& numbered = numbered_[static_cast<std::size_t>(numbered_of_[lowest.index()])];
  const std::int32_t among = numbered.place_of[collective_op(lowest, place.axis, ordinal).index()];
  return InstanceId{static_cast<std::int32_t>(first_collective_[lowest.index()]) + among};
}

Instance InstanceList::operator[](std::size_t id) const {
  if (id >= collectives_) return {InstanceMembers(messages_[id - collectives_])};
  // The last rank that numbers nothing above id: those that number nothing at all stand before it.
  const auto next = std::upper_bound(first_collective_.begin(), first_collective_.end(), id);
  const Rank lowest{static_cast<std::int32_t>(next - first_collective_.begin()) - 1};
  const Numbered& numbered = numbered_[static_cast<std::size_t>(numbered_of_[lowest.index()])];
  const OpIndex op = numbered.ops[id - first_collective_[lowest.index()]];
  const Place place = programs_[program_of_[lowest.index()].index()].places[op.index()];
  return {InstanceMembers(*this, group_of(lowest, place.axis), place.axis, static_cast<std::size_t>(place.ordinal))};
}

}  // namespace fabricast::ir
