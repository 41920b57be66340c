#include "strategies/ir/instances.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <tuple>

#include "strategies/ir/validate.hpp"

namespace fabricast::ir {

namespace {

constexpr InstanceId no_instance{-1};
constexpr InstanceMember absent{Rank{-1}, OpIndex{-1}};

std::optional<Axis> collective_axis(const Work& work) {
  if (const auto* collective = std::get_if<Collective>(&work)) return collective->axis;
  if (std::holds_alternative<AllToAll>(work)) return Axis::expert;
  return std::nullopt;
}

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
  explicit Matcher(const Schedule& schedule) : schedule_(schedule), by_group_(schedule.groups.size()) {}

  Instances match() {
    result_.of.reserve(schedule_.ranks.size());
    for (std::size_t r = 0; r < schedule_.ranks.size(); ++r) add_rank(Rank{static_cast<std::int32_t>(r)});
    check_complete();
    pair_messages();
    return std::move(result_);
  }

 private:
  [[nodiscard]] const Op& op_of(InstanceMember member) const { return schedule_.program_of(member.rank).ops[member.op.index()]; }
  [[nodiscard]] std::string describe_member(InstanceMember member) const { return describe(schedule_, member.rank, member.op); }

  void add_rank(Rank rank) {
    const auto& ops = schedule_.program_of(rank).ops;
    result_.of.emplace_back(ops.size(), no_instance);
    std::array<std::size_t, axis_count> met{};  // collectives so far, by axis
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const InstanceMember self{rank, OpIndex{static_cast<std::int32_t>(i)}};
      if (const auto axis = collective_axis(ops[i].work)) {
        join(self, *axis, met[static_cast<std::size_t>(*axis)]++);
      } else if (const auto* send = std::get_if<Send>(&ops[i].work)) {
        sends_.push_back({rank, peer(rank, send->axis, send->peer), send->tag, self});
      } else if (const auto* recv = std::get_if<Recv>(&ops[i].work)) {
        receives_.push_back({peer(rank, recv->axis, recv->peer), rank, recv->tag, self});
      }
    }
  }

  [[nodiscard]] Rank peer(Rank rank, Axis axis, std::int32_t index) const {
    return schedule_.group_of(rank, axis).members[static_cast<std::size_t>(index)];
  }

  InstanceId create(std::vector<InstanceMember> members) {
    result_.all.push_back({std::move(members)});
    return InstanceId{static_cast<std::int32_t>(result_.all.size()) - 1};
  }

  /// `self` is the k-th collective of its rank's group on `axis`.
  void join(InstanceMember self, Axis axis, std::size_t k) {
    const GroupId group = schedule_.ranks[self.rank.index()].groups[static_cast<std::size_t>(axis)];
    auto& instances = by_group_[group.index()];
    if (k == instances.size()) instances.push_back(create(std::vector(schedule_.groups[group.index()].members.size(), absent)));
    auto& members = result_.all[instances[k].index()].members;
    members[static_cast<std::size_t>(schedule_.member_of(self.rank, axis))] = self;
    result_.of[self.rank.index()][self.op.index()] = instances[k];
    check_agrees(members, self, axis, k);
  }

  void check_agrees(const std::vector<InstanceMember>& members, InstanceMember self, Axis axis, std::size_t k) const {
    const auto first = *std::find_if(members.begin(), members.end(), [](InstanceMember m) { return m.rank.value >= 0; });
    if (&op_of(first) == &op_of(self)) return;
    const auto differs = disagreement(op_of(self).work, op_of(first).work);
    if (!differs) return;
    throw ScheduleError(
        fmt::format("{}: collective {} of its {} group: {} of {}; members must issue the same collectives in the same order",
                    describe_member(self), k, name_of(axis), *differs, describe_member(first)));
  }

  void check_complete() const {
    for (std::size_t g = 0; g < by_group_.size(); ++g) {
      for (std::size_t k = 0; k < by_group_[g].size(); ++k) check_all_joined(schedule_.groups[g], k, by_group_[g][k]);
    }
  }

  void check_all_joined(const Group& group, std::size_t k, InstanceId id) const {
    const auto& members = result_.all[id.index()].members;
    const auto is_absent = [](InstanceMember m) { return m.rank.value < 0; };
    const auto missing = std::find_if(members.begin(), members.end(), is_absent);
    if (missing == members.end()) return;
    const auto present = *std::find_if_not(members.begin(), members.end(), is_absent);
    const Rank lacking = group.members[static_cast<std::size_t>(missing - members.begin())];
    throw ScheduleError(
        fmt::format("{}: collective {} of its {} group, but rank {} of the group issues only {}; every member must issue it",
                    describe_member(present), k, name_of(group.axis), lacking.value, k));
  }

  void pair_messages() {
    const auto earlier = [](const Message& a, const Message& b) { return a.key() < b.key(); };
    std::stable_sort(sends_.begin(), sends_.end(), earlier);
    std::stable_sort(receives_.begin(), receives_.end(), earlier);
    const std::size_t pairs = std::min(sends_.size(), receives_.size());
    for (std::size_t i = 0; i < pairs; ++i) {
      if (earlier(sends_[i], receives_[i])) fail_alone(sends_[i]);
      if (earlier(receives_[i], sends_[i])) fail_alone(receives_[i]);
      const InstanceId id = create({sends_[i].end, receives_[i].end});
      for (const InstanceMember end : {sends_[i].end, receives_[i].end}) result_.of[end.rank.index()][end.op.index()] = id;
    }
    if (sends_.size() > pairs) fail_alone(sends_[pairs]);
    if (receives_.size() > pairs) fail_alone(receives_[pairs]);
  }

  [[noreturn]] void fail_alone(const Message& message) const {
    const bool sends = message.end.rank == message.source;
    throw ScheduleError(fmt::format("{}: {} rank {} with tag {} has no matching {}; the other rank must issue one for each",
                                    describe_member(message.end), sends ? "send to" : "recv from",
                                    sends ? message.destination.value : message.source.value, message.tag, sends ? "recv" : "send"));
  }

  const Schedule& schedule_;
  Instances result_;
  std::vector<std::vector<InstanceId>> by_group_;  // [group][k]
  std::vector<Message> sends_, receives_;
};

}  // namespace

Instances match_instances(const Schedule& schedule) { return Matcher(schedule).match(); }

}  // namespace fabricast::ir
