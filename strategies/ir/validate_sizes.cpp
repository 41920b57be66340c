// Do the members of a collective, and the two ends of a message, mean the same bytes?
#include <fmt/format.h>

#include <array>
#include <vector>

#include "strategies/ir/resolve.hpp"
#include "strategies/ir/validate.hpp"
#include "strategies/ir/validate_parts.hpp"

namespace fabricast::ir {

namespace {

bool is_sharded(hw::CollectiveKind kind) { return kind == hw::CollectiveKind::all_gather || kind == hw::CollectiveKind::reduce_scatter; }

/// Axes on which ranks of different programs form a group.
std::array<bool, axis_count> mixed_axes(const Schedule& schedule) {
  std::array<bool, axis_count> mixed{};
  for (const Group& group : schedule.groups) {
    const ProgramId first = schedule.ranks[group.members.front().index()].program;
    for (const Rank rank : group.members) {
      if (schedule.ranks[rank.index()].program != first) mixed[static_cast<std::size_t>(group.axis)] = true;
    }
  }
  return mixed;
}

/// By program: ops whose ends could disagree. Members that run one program say the same of constant rows, and of shards, which may differ.
std::vector<std::vector<OpIndex>> suspects_of(const Schedule& schedule) {
  const auto mixed = mixed_axes(schedule);
  const auto is_suspect = [&](const Work& work) {
    const auto* collective = std::get_if<Collective>(&work);
    if (!collective) return std::holds_alternative<Send>(work);
    const bool same_on_all = is_sharded(collective->kind) || collective->shard.of == Extent::Of::constant;
    return !same_on_all || mixed[static_cast<std::size_t>(collective->axis)];
  };
  std::vector<std::vector<OpIndex>> suspects;
  for (const Program& program : schedule.programs) {
    auto& of_program = suspects.emplace_back();
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
      if (is_suspect(program.ops[i].work)) of_program.push_back(OpIndex{static_cast<std::int32_t>(i)});
    }
  }
  return suspects;
}

class SizeCheck {
 public:
  SizeCheck(const Schedule& schedule, const Instance& instance) : schedule_(schedule), members_(instance.members) {}

  void run() const {
    const Op& first = op_of(members_.front());
    if (const auto* collective = std::get_if<Collective>(&first.work)) check_collective(*collective);
    if (std::holds_alternative<Send>(first.work)) check_message();
  }

 private:
  [[nodiscard]] const Op& op_of(InstanceMember member) const { return schedule_.program_of(member.rank).ops[member.op.index()]; }

  void check_collective(const Collective& first) const {
    const bool sharded = is_sharded(first.kind);
    for (std::size_t m = 1; m < members_.size(); ++m) {
      const auto& own = std::get<Collective>(op_of(members_[m]).work);
      if (sharded ? own.shard == first.shard : own.shard == first.shard && own.shard.of == Extent::Of::constant) continue;
      // Shards may differ by rank, but the first member's op must say what each of the others says of itself.
      const Rank rank = members_[m].rank;
      const std::int64_t expected = evaluate(first.shard, schedule_, sharded ? rank : members_.front().rank);
      const std::int64_t rows = evaluate(own.shard, schedule_, rank);
      if (rows != expected) fail(members_[m], rows, expected);
    }
  }

  void check_message() const {
    const auto& send = std::get<Send>(op_of(members_[0]).work);
    const auto& recv = std::get<Recv>(op_of(members_[1]).work);
    const std::int64_t sent = evaluate(send.rows, schedule_, members_[0].rank) * send.row_bytes;
    const std::int64_t received = evaluate(recv.rows, schedule_, members_[1].rank) * recv.row_bytes;
    if (sent == received) return;
    throw ScheduleError(fmt::format("{}: receives {} B of the {} B sent by {}; the two must be equal", describe_member(members_[1]),
                                    received, sent, describe_member(members_[0])));
  }

  [[noreturn]] void fail(InstanceMember member, std::int64_t rows, std::int64_t expected) const {
    throw ScheduleError(fmt::format("{}: brings {} rows to a collective in which {} expects {} of it; members must agree",
                                    describe_member(member), rows, describe_member(members_.front()), expected));
  }

  [[nodiscard]] std::string describe_member(InstanceMember member) const { return describe(schedule_, member.rank, member.op); }

  const Schedule& schedule_;
  InstanceMembers members_;
};

}  // namespace

void check_sizes_agree(const Schedule& schedule, const Instances& instances) {
  const auto suspects = suspects_of(schedule);
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    for (const OpIndex op : suspects[schedule.ranks[r].program.index()]) {
      const Instance instance = instances.all[instances.at(rank, op).index()];
      if (instance.members.front().rank == rank) SizeCheck(schedule, instance).run();
    }
  }
}

}  // namespace fabricast::ir
