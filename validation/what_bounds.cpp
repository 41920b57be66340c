#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "validation/summary.hpp"

namespace fabricast::validation {

namespace {

std::string idleness(const TimeSummary& time, Seconds step) {
  if (share_of(time.idle, step) < 0.0005) return "the ranks never idle";
  return fmt::format("the ranks idle for {} ({} of it waiting for peers)", show_share(share_of(time.idle, step)),
                     show_share(share_of(time.waiting, time.idle)));
}

std::string division(const Report& report) {
  const TimeSummary& time = report.time;
  return fmt::format("Computation takes {} of the step and communication that nothing hides {}; {}.",
                     show_share(share_of(time.compute_busy, report.step)), show_share(share_of(time.communication_exposed, report.step)),
                     idleness(time, report.step));
}

struct AxisShare {
  std::string axis;
  Seconds exposed;
  std::vector<std::string> labels;   // the largest first
};

std::vector<AxisShare> exposed_by_axis(const Report& report) {
  std::vector<CollectiveSummary> collectives = report.collectives;
  std::stable_sort(collectives.begin(), collectives.end(), [](const auto& a, const auto& b) { return a.exposed > b.exposed; });
  std::vector<AxisShare> axes;
  for (const CollectiveSummary& collective : collectives) {
    if (collective.exposed <= Seconds(0)) continue;
    auto found = std::find_if(axes.begin(), axes.end(), [&](const AxisShare& share) { return share.axis == collective.axis; });
    if (found == axes.end()) found = axes.insert(axes.end(), AxisShare{collective.axis, {}, {}});
    found->exposed += collective.exposed;
    found->labels.push_back(collective.label);
  }
  std::stable_sort(axes.begin(), axes.end(), [](const AxisShare& a, const AxisShare& b) { return a.exposed > b.exposed; });
  return axes;
}

std::string join(const std::vector<std::string>& labels) {
  if (labels.size() == 1) return labels[0];
  if (labels.size() == 2) return labels[0] + " and " + labels[1];
  return fmt::format("{}, {} and {} more", labels[0], labels[1], labels.size() - 2);
}

std::string busiest_link_kind(const Report& report) {
  const auto busiest = std::max_element(report.links.begin(), report.links.end(), [](const auto& a, const auto& b) {
    return a.second.max_utilization < b.second.max_utilization;
  });
  const double used = busiest->second.max_utilization;
  if (used > 1.0) return fmt::format("on its routes the busiest link ({}) alone would take {} the step", busiest->first, show_factor(used));
  return fmt::format("the busiest link ({}) carries {} of what it could", busiest->first, show_share(used));
}

std::string communication(const Report& report) {
  if (report.collectives.empty()) return "The ranks do not communicate.";
  const std::vector<AxisShare> axes = exposed_by_axis(report);
  if (axes.empty()) return fmt::format("Computation hides all communication; {}.", busiest_link_kind(report));
  return fmt::format("Of the communication not hidden, the {} axis ({}) is {}; {}.", axes.front().axis, join(axes.front().labels),
                     show_share(share_of(axes.front().exposed, report.time.communication_exposed)), busiest_link_kind(report));
}

std::string largest_floor(const Floors& floors) {
  if (floors.network >= floors.roofline) return fmt::format("the network's floor of {}", show(floors.network));
  const bool memory_matters = floors.roofline > floors.compute * 1.05;
  if (memory_matters) return fmt::format("the roofline floor of {}, which device memory raises", show(floors.roofline));
  return fmt::format("the computation floor of {}", show(floors.roofline));
}

std::string remedy(const Report& report) {
  const TimeSummary& time = report.time;
  const auto gain = [&](Seconds removed) {
    return removed < report.step ? show_factor(report.step / (report.step - removed)) : "any factor";
  };
  const Seconds inefficiency = std::max(time.compute_busy - report.floors.roofline, Seconds(0));
  if (time.communication_exposed >= time.idle && time.communication_exposed >= inefficiency) {
    return fmt::format("hiding all communication would bring at most {}", gain(time.communication_exposed));
  }
  if (time.idle >= inefficiency) return fmt::format("filling the idle time would bring at most {}", gain(time.idle));
  return fmt::format("running every kernel at its roofline would bring at most {}", gain(inefficiency));
}

}  // namespace

std::vector<std::string> what_bounds(const Report& report) {
  return {division(report), communication(report),
          fmt::format("The step is {} {}; {}.", show_factor(report.floors.step_over_floor), largest_floor(report.floors), remedy(report))};
}

}  // namespace fabricast::validation
