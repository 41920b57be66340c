#include "runtime/communicators.hpp"

#include <fmt/format.h>

#include <map>
#include <tuple>

#include "runtime/executor.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::runtime {
namespace {

struct Key {
  bool is_message;
  std::int32_t group_or_source, destination, stream_or_tag;
  friend auto operator<=>(const Key&, const Key&) = default;
};

struct KeyOf {
  const ir::Schedule& schedule;
  const ir::Instance& instance;

  [[nodiscard]] Key collective(ir::Axis axis) const {
    const ir::InstanceMember& first = instance.members.front();
    const ir::Op& op = schedule.program_of(first.rank).ops[first.op.index()];
    return {false, schedule.ranks[first.rank.index()].groups[static_cast<std::size_t>(axis)].value, 0, op.stream.value};
  }
  [[nodiscard]] Key message(std::int32_t tag) const {
    return {true, instance.members.front().rank.value, instance.members.back().rank.value, tag};
  }

  Key operator()(const ir::Collective& c) const { return collective(c.axis); }
  Key operator()(const ir::AllToAll&) const { return collective(ir::Axis::expert); }
  Key operator()(const ir::Send& s) const { return message(s.tag); }
  Key operator()(const ir::Recv& r) const { return message(r.tag); }
  template <template <class> class Computation, class Rows>
  Key operator()(const Computation<Rows>&) const {
    throw std::logic_error("communicators: the op computes");
  }
};

/// Instances are numbered so that any one member meets those of a communicator in ascending order; then all must.
void require_one_order(const ir::Schedule& schedule, const ir::Instances& instances, const Communicators& plan) {
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    std::map<std::int32_t, std::int32_t> last;   // instance, by communicator
    for (std::size_t i = 0; i < schedule.program_of(rank).ops.size(); ++i) {
      const ir::OpIndex op{static_cast<std::int32_t>(i)};
      const std::int32_t instance = instances.at(rank, op).value;
      if (instance < 0) continue;
      const auto [place, is_first] = last.emplace(plan.of[static_cast<std::size_t>(instance)], instance);
      if (!is_first && place->second > instance) {
        throw BackendUnavailable(fmt::format("{}: its group's members come to their collectives in different orders",
                                             ir::describe(schedule, rank, op)));
      }
      place->second = instance;
    }
  }
}

}  // namespace

Communicators plan_communicators(const ir::Schedule& schedule, const ir::Instances& instances) {
  Communicators plan;
  std::map<Key, std::int32_t> known;
  for (const ir::Instance& instance : instances.all) {
    const ir::InstanceMember& first = instance.members.front();
    const Key key = std::visit(KeyOf{schedule, instance}, schedule.program_of(first.rank).ops[first.op.index()].work);
    const auto [place, is_new] = known.emplace(key, static_cast<std::int32_t>(plan.members.size()));
    if (is_new) {
      std::vector<Rank>& members = plan.members.emplace_back();
      for (const ir::InstanceMember& member : instance.members) members.push_back(member.rank);
    }
    plan.of.push_back(place->second);
  }
  require_one_order(schedule, instances, plan);
  return plan;
}

}  // namespace fabricast::runtime
