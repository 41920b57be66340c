#include <algorithm>
#include <map>

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

CollectiveSummary averaged(const OpClass& op_class, const std::map<ir::GroupId, GroupSums>& groups) {
  GroupSums sum;
  for (const auto& [group, sums] : groups) sum += sums;
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
                                                     std::span<const sim::InstanceInterval> instances_ran, const OpClasses& classes,
                                                     const TimeAccount& time) {
  std::vector<std::map<ir::GroupId, GroupSums>> by_class(classes.communication().size());
  for (std::size_t i = 0; i < instances.all.size(); ++i) {
    const ir::InstanceMember first = instances.all[i].members.front();
    const std::size_t c = classes.of(first.rank, first.op);
    const auto axis = static_cast<std::size_t>(*classes.communication()[c].axis);
    const ir::Op& op = schedule.program_of(first.rank).ops[first.op.index()];
    by_class[c][schedule.ranks[first.rank.index()].groups[axis]] +=
        sums_of(ir::resolve_collective(schedule, first.rank, op), instances_ran[i]);
  }
  std::vector<CollectiveSummary> result;
  for (std::size_t c = 0; c < by_class.size(); ++c) {
    result.push_back(averaged(classes.communication()[c], by_class[c]));
    result.back().busy = time.busy[c];
    result.back().exposed = time.exposed[c];
  }
  return result;
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
