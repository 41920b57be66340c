// The checks that make instances of a schedule's ops, and the pairing of messages.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <tuple>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::ir {

namespace {

/// In what two ops that ought to be one collective differ, if they do. Row counts are validate's.
std::optional<std::string> disagreement(const Work& a, const Work& b) {
  if (kind_of(a) != kind_of(b)) return fmt::format("{} meets {}", kind_of(a), kind_of(b));
  if (const auto *x = std::get_if<Collective>(&a), *y = std::get_if<Collective>(&b); x && y) {
    if (x->row_bytes != y->row_bytes) return fmt::format("rows of {} B meet rows of {} B", x->row_bytes, y->row_bytes);
    if (x->algorithm != y->algorithm) return fmt::format("{} meets {}", name_of(x->algorithm), name_of(y->algorithm));
  }
  if (const auto *x = std::get_if<AllToAll>(&a), *y = std::get_if<AllToAll>(&b); x && y) {
    if (x->direction != y->direction) return std::string("dispatch meets combine");
    if (x->step != y->step) return std::string("all-to-alls of different layers, micro-batches or chunks meet");
    if (x->row_bytes != y->row_bytes) return fmt::format("rows of {} B meet rows of {} B", x->row_bytes, y->row_bytes);
    if (x->algorithm != y->algorithm) return fmt::format("{} meets {}", name_of(x->algorithm), name_of(y->algorithm));
  }
  return std::nullopt;
}

/// One end of a send or receive.
struct Message {
  Rank source, destination;
  std::int32_t tag;
  InstanceMember end;

  [[nodiscard]] auto key() const { return std::tuple(source, destination, tag); }
};

class Matcher {
 public:
  explicit Matcher(const Schedule& schedule) : schedule_(schedule) {
    for (const Program& program : schedule.programs) communication_.push_back(communication_of(program));
  }

  Instances match() {
    for (std::size_t g = 0; g < schedule_.groups.size(); ++g) check_group(schedule_.groups[g]);
    for (std::size_t r = 0; r < schedule_.ranks.size(); ++r) add_messages(Rank{static_cast<std::int32_t>(r)});
    return {InstanceList(schedule_, pair_messages())};
  }

 private:
  /// The communication of a program.
  struct Communication {
    std::array<std::vector<OpIndex>, axis_count> collectives;   // by axis
    std::vector<OpIndex> messages;
  };

  static Communication communication_of(const Program& program) {
    Communication result;
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
      const OpIndex op{static_cast<std::int32_t>(i)};
      const Work& work = program.ops[i].work;
      if (const auto axis = collective_axis(work)) {
        result.collectives[static_cast<std::size_t>(*axis)].push_back(op);
      } else if (communicates(work)) {
        result.messages.push_back(op);
      }
    }
    return result;
  }

  [[nodiscard]] const Op& op_of(InstanceMember member) const { return schedule_.program_of(member.rank).ops[member.op.index()]; }
  [[nodiscard]] std::string describe_member(InstanceMember member) const { return describe(schedule_, member.rank, member.op); }
  [[nodiscard]] ProgramId program_of(Rank rank) const { return schedule_.ranks[rank.index()].program; }
  [[nodiscard]] const std::vector<OpIndex>& collectives_of(Rank rank, Axis axis) const {
    return communication_[program_of(rank).index()].collectives[static_cast<std::size_t>(axis)];
  }

  /// Members that run one program agree with one another.
  void check_group(const Group& group) const {
    const auto& members = group.members;
    const auto differs = [&](Rank rank) { return program_of(rank) != program_of(members.front()); };
    if (std::none_of(members.begin(), members.end(), differs)) return;
    std::size_t most = 0;
    for (const Rank rank : members) most = std::max(most, collectives_of(rank, group.axis).size());
    for (std::size_t k = 0; k < most; ++k) check_collective(group, k);
  }

  void check_collective(const Group& group, std::size_t k) const {
    std::optional<InstanceMember> first;
    for (const Rank rank : group.members) {
      const auto& ops = collectives_of(rank, group.axis);
      if (k >= ops.size()) continue;
      const InstanceMember self{rank, ops[k]};
      if (!first) first = self;
      check_agrees(*first, self, group.axis, k);
    }
    for (const Rank rank : group.members) {
      if (k >= collectives_of(rank, group.axis).size()) fail_lacking(*first, rank, group.axis, k);
    }
  }

  void check_agrees(InstanceMember first, InstanceMember self, Axis axis, std::size_t k) const {
    if (&op_of(first) == &op_of(self)) return;
    const auto differs = disagreement(op_of(self).work, op_of(first).work);
    if (!differs) return;
    throw ScheduleError(
        fmt::format("{}: collective {} of its {} group: {} of {}; members must issue the same collectives in the same order",
                    describe_member(self), k, name_of(axis), *differs, describe_member(first)));
  }

  [[noreturn]] void fail_lacking(InstanceMember present, Rank lacking, Axis axis, std::size_t k) const {
    throw ScheduleError(
        fmt::format("{}: collective {} of its {} group, but rank {} of the group issues only {}; every member must issue it",
                    describe_member(present), k, name_of(axis), lacking.value, k));
  }

  void add_messages(Rank rank) {
    for (const OpIndex op : communication_[program_of(rank).index()].messages) {
      const Work& work = schedule_.program_of(rank).ops[op.index()].work;
      if (const auto* send = std::get_if<Send>(&work)) sends_.push_back({rank, peer(rank, send->axis, send->peer), send->tag, {rank, op}});
      if (const auto* recv = std::get_if<Recv>(&work)) receives_.push_back({peer(rank, recv->axis, recv->peer), rank, recv->tag, {rank, op}});
    }
  }

  [[nodiscard]] Rank peer(Rank rank, Axis axis, std::int32_t index) const {
    return schedule_.group_of(rank, axis).members[static_cast<std::size_t>(index)];
  }

  std::vector<MessageEnds> pair_messages() {
    std::vector<MessageEnds> ends;
    const auto earlier = [](const Message& a, const Message& b) { return a.key() < b.key(); };
    std::stable_sort(sends_.begin(), sends_.end(), earlier);
    std::stable_sort(receives_.begin(), receives_.end(), earlier);
    const std::size_t pairs = std::min(sends_.size(), receives_.size());
    for (std::size_t i = 0; i < pairs; ++i) {
      if (earlier(sends_[i], receives_[i])) fail_alone(sends_[i]);
      if (earlier(receives_[i], sends_[i])) fail_alone(receives_[i]);
      ends.push_back({sends_[i].end, receives_[i].end});
    }
    if (sends_.size() > pairs) fail_alone(sends_[pairs]);
    if (receives_.size() > pairs) fail_alone(receives_[pairs]);
    return ends;
  }

  [[noreturn]] void fail_alone(const Message& message) const {
    const bool sends = message.end.rank == message.source;
    throw ScheduleError(fmt::format("{}: {} rank {} with tag {} has no matching {}; the other rank must issue one for each",
                                    describe_member(message.end), sends ? "send to" : "recv from",
                                    sends ? message.destination.value : message.source.value, message.tag, sends ? "recv" : "send"));
  }

  const Schedule& schedule_;
  std::vector<Communication> communication_;       // by program
  std::vector<Message> sends_, receives_;
};

}  // namespace

Instances match_instances(const Schedule& schedule) { return Matcher(schedule).match(); }

}  // namespace fabricast::ir
