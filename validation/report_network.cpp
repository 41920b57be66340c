#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "strategies/ir/resolve.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t hottest_links_listed = 10;

/// The instances of one class on one group.
struct GroupSums {
  double count = 0, members = 0, bytes = 0, bus_bytes = 0;
  Seconds time, floor;

  GroupSums& operator+=(const GroupSums& other) {
    count += other.count;
    members += other.members;
    bytes += other.bytes;
    bus_bytes += other.bus_bytes;
    time += other.time;
    floor += other.floor;
    return *this;
  }
};

GroupSums sums_of(const ir::ResolvedCollective& collective, const sim::InstanceInterval& ran) {
  const auto size = static_cast<double>(collective.size.value());
  const auto members = static_cast<std::int64_t>(collective.members.size());
  const double bus_bytes = size * hw::bus_factor(collective.kind, members);
  return {1, static_cast<double>(members), size, bus_bytes, to_seconds(ran.end - ran.start), ran.floor};
}

BytesPerSecond rate(double bytes, Seconds time) { return BytesPerSecond(time > Seconds(0) ? bytes / time.value() : 0); }

/// Accounts for the instances of one group after the other. Groups whose members are alike, one by one, share an account.
class GroupAccounts {
 public:
  using Account = std::map<std::size_t, GroupSums>;   // by communication class

  GroupAccounts(const ir::Schedule& schedule, const ir::Instances& instances, const sim::SimulationResult& result, const OpClasses& classes,
                const ir::RankClasses& ranks)
      : schedule_(schedule), instances_(instances), result_(result), classes_(classes), ranks_(ranks) {
    for (const ir::Program& program : schedule.programs) begun_by_.push_back(begun_by(program));
  }

  [[nodiscard]] const Account& of(const ir::Group& group) {
    std::vector<std::int32_t> key{static_cast<std::int32_t>(group.axis)};
    for (const Rank rank : group.members) key.push_back(ranks_.of[rank.index()]);
    const auto [place, is_new] = accounts_.try_emplace(std::move(key));
    if (is_new) place->second = account(group);
    return place->second;
  }

 private:
  /// Ops whose rank is their instance's first member: of collectives if it is the group's, of messages if it sends.
  struct Begun {
    std::vector<ir::OpIndex> collectives, sends;
  };
  using BegunByAxis = std::array<Begun, ir::axis_count>;

  static BegunByAxis begun_by(const ir::Program& program) {
    BegunByAxis begun;
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
      const ir::Work& work = program.ops[i].work;
      const auto axis = axis_of(work);
      if (!axis || std::holds_alternative<ir::Recv>(work)) continue;
      Begun& on_axis = begun[static_cast<std::size_t>(*axis)];
      auto& ops = std::holds_alternative<ir::Send>(work) ? on_axis.sends : on_axis.collectives;
      ops.push_back(ir::OpIndex{static_cast<std::int32_t>(i)});
    }
    return begun;
  }

  [[nodiscard]] Account account(const ir::Group& group) const {
    Account account;
    for (const auto& [id, first] : instances_of(group)) {
      const ir::Op& op = schedule_.program_of(first.rank).ops[first.op.index()];
      account[classes_.of(first.rank, first.op)] +=
          sums_of(ir::resolve_briefly(schedule_, first.rank, op), result_.ran(instances_, first.rank, first.op));
    }
    return account;
  }

  /// With their first members, in the order of their ids.
  [[nodiscard]] std::map<ir::InstanceId, ir::InstanceMember> instances_of(const ir::Group& group) const {
    std::map<ir::InstanceId, ir::InstanceMember> first_members;
    for (const Rank rank : group.members) {
      const Begun& begun = begun_by_[schedule_.ranks[rank.index()].program.index()][static_cast<std::size_t>(group.axis)];
      for (const ir::OpIndex op : begun.sends) first_members[instances_.at(rank, op)] = {rank, op};
      if (rank != group.members.front()) continue;
      for (const ir::OpIndex op : begun.collectives) first_members[instances_.at(rank, op)] = {rank, op};
    }
    return first_members;
  }

  const ir::Schedule& schedule_;
  const ir::Instances& instances_;
  const sim::SimulationResult& result_;
  const OpClasses& classes_;
  const ir::RankClasses& ranks_;
  std::vector<BegunByAxis> begun_by_;                        // by program
  std::map<std::vector<std::int32_t>, Account> accounts_;    // by axis and classes of the members
};

CollectiveSummary averaged(const OpClass& op_class, std::span<const GroupSums> groups) {
  GroupSums sum;
  for (const GroupSums& sums : groups) sum += sums;
  const auto n = static_cast<double>(std::max<std::size_t>(groups.size(), 1));
  CollectiveSummary result;
  result.label = op_class.label;
  result.kind = op_class.kind;
  result.axis = std::string(ir::name_of(*op_class.axis));
  result.count = sum.count / n;
  result.members = sum.count > 0 ? sum.members / sum.count : 0;
  result.bytes = sum.bytes / n;
  result.time = sum.time / n;
  result.floor = sum.floor / n;
  if (sum.floor > Seconds(0)) result.ratio_to_floor = sum.time / sum.floor;
  result.algorithm_bandwidth = rate(sum.bytes, sum.time);
  result.bus_bandwidth = rate(sum.bus_bytes, sum.time);
  return result;
}

double utilization(const hw::Link& link, Bytes carried, Seconds step) {
  return step > Seconds(0) ? (carried / link.bandwidth) / step : 0;
}

std::vector<HotLink> hottest(std::span<const hw::Link> links, std::span<const Bytes> carried, Seconds step) {
  std::vector<HotLink> used;
  for (std::size_t i = 0; i < links.size(); ++i) {
    if (carried[i] == Bytes(0)) continue;
    used.push_back({links[i].name, utilization(links[i], carried[i], step), static_cast<double>(carried[i].value())});
  }
  std::stable_sort(used.begin(), used.end(), [](const HotLink& a, const HotLink& b) { return a.utilization > b.utilization; });
  if (used.size() > hottest_links_listed) used.resize(hottest_links_listed);
  return used;
}

}  // namespace

std::vector<CollectiveSummary> summarize_collectives(const ir::Schedule& schedule, const ir::Instances& instances,
                                                     const sim::SimulationResult& result, const OpClasses& classes, const TimeAccount& time,
                                                     const ir::RankClasses& ranks) {
  std::vector<std::vector<GroupSums>> by_class(classes.communication().size());
  GroupAccounts accounts(schedule, instances, result, classes, ranks);
  for (const ir::Group& group : schedule.groups) {
    for (const auto& [c, sums] : accounts.of(group)) by_class[c].push_back(sums);
  }
  std::vector<CollectiveSummary> summaries;
  for (std::size_t c = 0; c < by_class.size(); ++c) {
    summaries.push_back(averaged(classes.communication()[c], by_class[c]));
    summaries.back().busy = time.busy[c];
    summaries.back().exposed = time.exposed[c];
  }
  return summaries;
}

Seconds longest_floors(const ir::Schedule& schedule, const ir::Instances& instances, const sim::SimulationResult& result,
                       const ir::RankClasses& ranks) {
  Seconds longest;
  for (const Rank rank : ranks.representatives) {
    const ir::Program& program = schedule.program_of(rank);
    std::vector<Seconds> on_stream(program.streams.size());
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
      if (!ir::communicates(program.ops[i].work)) continue;
      on_stream[program.ops[i].stream.index()] += result.ran(instances, rank, ir::OpIndex{static_cast<std::int32_t>(i)}).floor;
    }
    for (const Seconds floors : on_stream) longest = std::max(longest, floors);
  }
  return longest;
}

LinkAccount account_links(std::span<const hw::Link> links, std::span<const Bytes> carried, Seconds step) {
  LinkAccount result;
  result.by_kind = {{"nvlink", {}}, {"infiniband", {}}};
  std::map<std::string, std::int64_t> count;
  for (std::size_t i = 0; i < links.size(); ++i) {
    const std::string kind(hw::name_of(links[i].kind));
    const double used = utilization(links[i], carried[i], step);
    LinkSummary& summary = result.by_kind[kind];
    summary.bytes += static_cast<double>(carried[i].value());
    summary.mean_utilization += used;   // a sum, divided below
    summary.max_utilization = std::max(summary.max_utilization, used);
    ++count[kind];
    result.floor = std::max(result.floor, carried[i] / links[i].bandwidth);
  }
  for (const auto& [kind, n] : count) result.by_kind[kind].mean_utilization /= static_cast<double>(n);
  result.hottest = hottest(links, carried, step);
  return result;
}

}  // namespace fabricast::validation
