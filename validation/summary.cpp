#include "validation/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "validation/machine_json.hpp"

namespace fabricast::validation {

namespace {

constexpr double least_share_listed = 0.002;   // of the step; smaller classes are summed in one line
constexpr double least_share_on_path = 0.01;   // of the step, likewise
constexpr std::size_t hottest_links_shown = 5;

std::string heading(const Report& report) {
  if (report.measured) {
    return fmt::format("{}: {} step of {} tokens on {} (measured, {} backend)", report.experiment, report.phase,
                       show_count(static_cast<double>(report.tokens_per_step)), count_of(report.ranks, "rank"), report.measured->backend);
  }
  return fmt::format("{}: {} step of {} tokens on {} ({}), {} ({})", report.experiment, report.phase,
                     show_count(static_cast<double>(report.tokens_per_step)), count_of(report.ranks, "GPU"), count_of(report.nodes, "node"),
                     report.source, report.fidelity);
}

std::vector<OpSummary> by_time(std::vector<OpSummary> ops) {
  std::stable_sort(ops.begin(), ops.end(), [](const OpSummary& a, const OpSummary& b) { return a.busy > b.busy; });
  return ops;
}

std::vector<CollectiveSummary> by_time(std::vector<CollectiveSummary> collectives) {
  std::stable_sort(collectives.begin(), collectives.end(), [](const auto& a, const auto& b) { return a.busy > b.busy; });
  return collectives;
}

void add_measured(Table& table, const MeasuredFacts& facts) {
  table.add({"Machine", fmt::format("{}, {}{}", facts.machine.host, facts.machine.device, attention_text(facts.machine))});
  if (!facts.numerics) return;
  table.add({"Numerics", fmt::format("{}: largest error {:.2e} of the largest logit, tolerance {:.2e}",
                                     facts.numerics->passed ? "equal to the reference" : "WRONG", facts.numerics->max_relative_error,
                                     facts.numerics->tolerance)});
}

std::string measured_table(const Report& report, TextStyle style) {
  Table table({{"op", Table::Align::left}, {"kind", Table::Align::left}, {"count"}, {"p10"}, {"median"}, {"p90"}});
  for (const OpSummary& op : by_time(report.ops)) {
    table.add({op.label, op.kind, show_count(op.count), show(op.each->p10), show(op.each->median), show(op.each->p90)});
  }
  if (!report.collectives.empty()) table.add_rule();
  for (const CollectiveSummary& collective : by_time(report.collectives)) {
    const runtime::Spread& each = *collective.each;
    table.add({collective.label, collective.kind, show_count(collective.count), show(each.p10), show(each.median), show(each.p90)});
  }
  return style.strong("Each op") + " (over ranks and timed steps)\n" + table.text();
}

std::string headline(const Report& report) {
  Table table({{"", Table::Align::left}, {"", Table::Align::left}});
  table.add({"Step", report.measured ? fmt::format("{}  (median of {}; p10 {}, p90 {})", show(report.measured->step.median),
                                                    report.measured->timed_steps, show(report.measured->step.p10),
                                                    show(report.measured->step.p90))
                                     : show(report.step)});
  table.add({"Throughput", fmt::format("{} tokens/s  ({} per GPU)", show_count(report.tokens_per_second),
                                       show_count(report.tokens_per_second_per_gpu))});
  if (report.peak > FlopPerSecond(0)) table.add({"MFU", fmt::format("{} of {} dense per GPU", show_share(report.mfu), show(report.peak))});
  table.add({"Memory", fmt::format("{}: {} of {} on the fullest rank", report.memory.fits ? "fits" : "DOES NOT FIT",
                                   show_memory(report.memory.peak), show_memory(report.memory.capacity))});
  if (report.expert_load.imbalance > 1.0) {
    table.add({"Expert load", fmt::format("most loaded rank has {} the mean", show_factor(report.expert_load.imbalance))});
  }
  if (report.measured) add_measured(table, *report.measured);
  return table.text() + '\n';
}

/// Lines of a table of times; classes too small to matter are gathered in one line.
struct Remainder {
  std::size_t classes = 0;
  Seconds busy, exposed;
};

void add_computation(Table& table, const Report& report) {
  Remainder rest;
  for (const OpSummary& op : by_time(report.ops)) {
    if (share_of(op.busy, report.step) < least_share_listed) {
      rest.classes += 1;
      rest.busy += op.busy;
      continue;
    }
    const bool on_tensor_cores = op.flop > Flop(0) && report.peak > FlopPerSecond(0) && op.busy > Seconds(0);
    const std::string of_peak = on_tensor_cores ? show_share((op.flop / op.busy).value() / report.peak.value()) : "";
    table.add({op.label, op.kind, show_count(op.count), show(op.busy), "", show_share(share_of(op.busy, report.step)), of_peak});
  }
  if (rest.classes > 0) {
    const std::string name = fmt::format("other ({})", rest.classes);
    table.add({name, "computation", "", show(rest.busy), "", show_share(share_of(rest.busy, report.step))});
  }
}

void add_communication(Table& table, const Report& report) {
  Remainder rest;
  for (const CollectiveSummary& collective : by_time(report.collectives)) {
    if (share_of(collective.busy, report.step) < least_share_listed) {
      rest.classes += 1;
      rest.busy += collective.busy;
      rest.exposed += collective.exposed;
      continue;
    }
    table.add({collective.label, collective.kind, show_count(collective.count), show(collective.busy), show(collective.exposed),
               show_share(share_of(collective.exposed, report.step))});
  }
  if (rest.classes > 0) {
    table.add({fmt::format("other ({})", rest.classes), "communication", "", show(rest.busy), show(rest.exposed),
               show_share(share_of(rest.exposed, report.step))});
  }
}

std::string time_table(const Report& report, TextStyle style) {
  Table table({{"op", Table::Align::left}, {"kind", Table::Align::left}, {"count"}, {"busy"}, {"exposed"}, {"of step"}, {"of peak"}});
  const TimeSummary& time = report.time;
  add_computation(table, report);
  table.add_rule();
  table.add({"computation", "", "", show(time.compute_busy), "", show_share(share_of(time.compute_busy, report.step)),
             report.mfu > 0 && time.compute_busy > Seconds(0) ? show_share(report.mfu * (report.step / time.compute_busy)) : ""});
  if (time.interference > Seconds(0)) {
    table.add({"of it, slowed by communication", "", "", show(time.interference), "", show_share(share_of(time.interference, report.step))});
  }
  if (!report.collectives.empty()) {
    table.add_rule();
    add_communication(table, report);
    table.add_rule();
    table.add({"communication", "", "", show(time.communication_busy), show(time.communication_exposed),
               show_share(share_of(time.communication_exposed, report.step))});
  }
  table.add({"idle, waiting for a peer", "", "", show(time.waiting), "", show_share(share_of(time.waiting, report.step))});
  table.add({"idle otherwise", "", "", show(time.idle - time.waiting), "", show_share(share_of(time.idle - time.waiting, report.step))});
  return style.strong("Where the time goes") + " (mean over ranks; communication counts where it is not hidden)\n" + table.text() + '\n';
}

std::string collective_table(const Report& report, TextStyle style) {
  if (report.collectives.empty()) return {};
  Table table({{"collective", Table::Align::left}, {"axis", Table::Align::left}, {"ranks"}, {"count"}, {"size"}, {"each"}, {"floor"},
               {"time/floor"}, {"busbw"}});
  for (const CollectiveSummary& collective : by_time(report.collectives)) {
    const double count = std::max(collective.count, 1.0);
    table.add({collective.label, collective.axis, show_count(collective.members), show_count(collective.count),
               show_traffic(collective.bytes / count), show(collective.time / count), show(collective.floor / count),
               show_factor(collective.ratio_to_floor), show(collective.bus_bandwidth)});
  }
  return style.strong("Communication against its byte floor") + " (per collective)\n" + table.text() + '\n';
}

std::string link_table(const Report& report, TextStyle style) {
  Table table({{"links", Table::Align::left}, {"carried"}, {"mean use"}, {"most"}});
  for (const auto& [kind, links] : report.links) {
    if (links.bytes == 0) continue;
    table.add({kind, show_traffic(links.bytes), show_share(links.mean_utilization), show_share(links.max_utilization)});
  }
  if (report.hottest_links.empty()) return {};
  table.add_rule();
  for (std::size_t i = 0; i < std::min(hottest_links_shown, report.hottest_links.size()); ++i) {
    const HotLink& link = report.hottest_links[i];
    table.add({link.name, show_traffic(link.bytes), show_share(link.utilization)});
  }
  return style.strong("Links") + " (over the step; the hottest below)\n" + table.text() + '\n';
}

std::string critical_path_table(const Report& report, TextStyle style) {
  const CriticalPathSummary& path = report.critical_path;
  if (path.classes.empty()) return {};
  Table table({{"critical path", Table::Align::left}, {"ops"}, {"time"}, {"of step"}});
  const auto add = [&](const std::string& name, const std::string& ops, Seconds time) {
    table.add({name, ops, show(time), show_share(share_of(time, report.step))});
  };
  std::vector<CriticalPathSummary::Class> classes = path.classes;
  std::stable_sort(classes.begin(), classes.end(), [](const auto& a, const auto& b) { return a.time > b.time; });
  CriticalPathSummary::Class rest;
  std::int64_t gathered = 0;
  for (const CriticalPathSummary::Class& one : classes) {
    if (share_of(one.time, report.step) >= least_share_on_path) {
      add(one.label, show_count(static_cast<double>(one.ops)), one.time);
      continue;
    }
    gathered += 1;
    rest.ops += one.ops;
    rest.time += one.time;
  }
  if (gathered > 0) add(fmt::format("other ({})", gathered), show_count(static_cast<double>(rest.ops)), rest.time);
  table.add_rule();
  add("computation", "", path.computation);
  add("communication", "", path.communication);
  if (path.waiting > Seconds(0)) add("waiting between ops", "", path.waiting);
  return style.strong("Critical path") + " (what the end of the step waited for, op after op, over all ranks)\n" + table.text() + '\n';
}

std::string sensitivity_table(const Report& report, TextStyle style) {
  if (report.sensitivity.empty()) return {};
  Table table({{"knob", Table::Align::left}, {"throughput"}, {"if worse by as much"}, {"elasticity"}});
  for (const KnobEffect& effect : report.sensitivity) {
    table.add({fmt::format("{:.0f} % {} {}", 100 * std::abs(effect.change), effect.change > 0 ? "more" : "less", effect.knob),
               fmt::format("{:+.2f} %", 100 * effect.gain), fmt::format("{:+.2f} %", 100 * effect.loss),
               fmt::format("{:+.3f}", effect.elasticity)});
  }
  return style.strong("Sensitivity") + " (one knob at a time, the schedule fixed)\n" + table.text() + '\n';
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// What makes an error bar doubtful; empty: nothing.
std::string doubts(const ErrorBar& bar) {
  constexpr double least_coverage = 0.75;   // of an interval that is to hold 0.8
  std::string text;
  if (!bar.coverage) text = "not tested on left-out rows";
  if (bar.coverage && *bar.coverage < least_coverage) text = fmt::format("held {:.0f} % of left-out rows", 100 * *bar.coverage);
  if (bar.outside.empty()) return text;
  return text + (text.empty() ? "" : "; ") + "extrapolated: " + joined(bar.outside);
}

/// Error bars of the classes that the step's end waits for, or that take as long.
std::string error_bar_table(const Report& report, TextStyle style) {
  if (!report.error_bar) return {};
  const StepErrorBar& step = *report.error_bar;
  Table table({{"error bars", Table::Align::left}, {"predicted"}, {"low"}, {"high"}, {"by residuals of", Table::Align::left}, {"", Table::Align::left}});
  const auto add = [&](const auto& one) {
    if (share_of(one.busy, report.step) < least_share_on_path) return;
    if (!one.error_bar) table.add({one.label, show(one.busy), "-", "-", "no measurement"});
    if (one.error_bar) {
      table.add({one.label, show(one.busy), show(one.error_bar->low), show(one.error_bar->high), one.error_bar->calibrated_as,
                 doubts(*one.error_bar)});
    }
  };
  for (const OpSummary& op : by_time(report.ops)) add(op);
  for (const CollectiveSummary& collective : by_time(report.collectives)) add(collective);
  table.add_rule();
  table.add({"step", show(report.step), show(step.low), show(step.high)});
  std::string out = style.strong("Error bars") + " (four of five measurements should lie between, by the profile's residuals of left-out rows)\n" + table.text();
  if (step.known_share < 1) {
    out += wrap(fmt::format("Known for {} of the critical path; taken as exact: {}.", show_share(step.known_share), joined(step.unknown)), 2);
  }
  return out + '\n';
}

std::string floor_table(const Report& report, TextStyle style) {
  Table table({{"floor", Table::Align::left}, {"time"}, {"step/floor"}});
  const auto add = [&](const std::string& name, Seconds floor) {
    table.add({name, show(floor), floor > Seconds(0) ? show_factor(report.step / floor) : "-"});
  };
  add("all FLOP at dense peak", report.floors.compute);
  add("each kernel at its roofline", report.floors.roofline);
  add(report.fidelity == "bound" ? "byte floors, one after the other" : "busiest link at its bandwidth", report.floors.network);
  return style.strong("The step against its floors") + "\n" + table.text() + '\n';
}

}  // namespace

std::string count_of(std::int64_t n, const std::string& noun) { return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s"); }

std::string memory_table(const MemorySummary& memory) {
  Table table({{"memory", Table::Align::left}, {"bytes"}, {"of capacity"}});
  const auto add = [&](const std::string& name, Bytes bytes) {
    if (bytes == Bytes(0)) return;
    table.add({name, show_memory(bytes), show_share(static_cast<double>(bytes.value()) / static_cast<double>(memory.capacity.value()))});
  };
  for (const auto& [kind, bytes] : memory.breakdown) {
    if (kind != "parameters") add(kind, bytes);
    if (kind != "parameters") continue;
    for (const auto& [weights, size] : memory.parameters_by_kind) add(weights, size);
  }
  table.add_rule();
  add("peak", memory.peak);
  add("capacity", memory.capacity);
  return table.text();
}

std::string summary(const Report& report, TextStyle style) {
  std::string out = style.strong(heading(report)) + "\n\n" + headline(report);
  if (report.measured && report.peak == FlopPerSecond(0)) return out + time_table(report, style) + measured_table(report, style);
  out += time_table(report, style) + collective_table(report, style) + link_table(report, style);
  out += style.strong("Memory") + fmt::format(" (rank {}, the fullest)\n", report.memory.fullest.value);
  out += memory_table(report.memory) + '\n';
  out += critical_path_table(report, style) + error_bar_table(report, style) + sensitivity_table(report, style);
  out += floor_table(report, style) + style.strong("What bounds the step") + '\n';
  for (const std::string& sentence : what_bounds(report)) out += wrap(sentence, 2);
  return out;
}

}  // namespace fabricast::validation
