#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "validation/compare.hpp"
#include "validation/summary.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t reports_per_table = 3;   // beside the baseline: what 100 columns hold
constexpr std::size_t longest_name = 18;
constexpr double least_difference_listed = 0.002;   // of the baseline's step; classes that differ by less in every report are gathered

std::string shortened(const std::string& name) {
  return name.size() <= longest_name ? name : name.substr(0, longest_name - 2) + "..";
}

/// With its sign: "+12.3 ms".
std::string difference(Seconds time) {
  if (time == Seconds(0)) return "0 s";
  return fmt::format("{}{}", time > Seconds(0) ? '+' : '-', show(Seconds(std::abs(time.value()))));
}

std::vector<Table::Column> columns(std::span<const Report> reports, const std::string& first) {
  std::vector<Table::Column> result{{first, Table::Align::left}};
  for (const Report& report : reports) result.push_back({shortened(report.experiment)});
  return result;
}

template <class Cell>
void add_row(Table& table, const std::string& name, std::span<const Report> reports, Cell&& cell) {
  std::vector<std::string> cells{name};
  for (const Report& report : reports) cells.push_back(cell(report));
  table.add(std::move(cells));
}

std::string side_by_side(std::span<const Report> reports) {
  Table table(columns(reports, ""));
  const auto add = [&](const std::string& name, auto&& cell) { add_row(table, name, reports, cell); };
  const double baseline = reports.front().tokens_per_second;
  add("speed-up", [&](const Report& r) { return baseline > 0 ? show_factor(r.tokens_per_second / baseline) : "-"; });
  add("tokens/s", [](const Report& r) { return show_count(r.tokens_per_second); });
  add("tokens/s per GPU", [](const Report& r) { return show_count(r.tokens_per_second_per_gpu); });
  add("GPUs", [](const Report& r) { return show_count(static_cast<double>(r.ranks)); });
  add("tokens per step", [](const Report& r) { return show_count(static_cast<double>(r.tokens_per_step)); });
  add("step", [](const Report& r) { return show(r.step); });
  if (std::any_of(reports.begin(), reports.end(), [](const Report& r) { return r.error_bar.has_value(); })) {
    add("four of five from", [](const Report& r) { return r.error_bar ? show(r.error_bar->low) : "-"; });
    add("to", [](const Report& r) { return r.error_bar ? show(r.error_bar->high) : "-"; });
  }
  add("MFU", [](const Report& r) { return show_share(r.mfu); });
  add("step/floor", [](const Report& r) { return show_factor(r.floors.step_over_floor); });
  add("computation", [](const Report& r) { return show_share(share_of(r.time.compute_busy, r.step)); });
  add("exposed communication", [](const Report& r) { return show_share(share_of(r.time.communication_exposed, r.step)); });
  add("idle", [](const Report& r) { return show_share(share_of(r.time.idle, r.step)); });
  add("communication hidden", [](const Report& r) { return show_share(r.time.overlap_fraction); });
  add("memory peak", [](const Report& r) { return show_memory(r.memory.peak); });
  add("fits", [](const Report& r) { return std::string(r.memory.fits ? "yes" : "NO"); });
  return table.text();
}

bool matters(const TimeClass& row, Seconds step) {
  return std::any_of(row.time.begin(), row.time.end(), [&](Seconds time) {
    return share_of(Seconds(std::abs((time - row.time.front()).value())), step) >= least_difference_listed;
  });
}

void add_class(Table& table, const TimeClass& row) {
  std::vector<std::string> cells{row.name, show(row.time.front())};
  for (std::size_t r = 1; r < row.time.size(); ++r) cells.push_back(difference(row.time[r] - row.time.front()));
  table.add(std::move(cells));
}

void add_to(TimeClass& sum, const TimeClass& row) {
  for (std::size_t r = 0; r < row.time.size(); ++r) sum.time[r] += row.time[r];
}

/// The rows of one kind and their sum, which it returns.
TimeClass add_kind(Table& table, const std::vector<TimeClass>& rows, const std::string& kind, std::span<const Report> reports) {
  TimeClass sum{kind, {}, std::vector<Seconds>(reports.size())};
  TimeClass rest{"  the others", {}, std::vector<Seconds>(reports.size())};
  bool gathered = false;
  for (const TimeClass& row : rows) {
    if (row.kind != kind) continue;
    add_to(sum, row);
    if (matters(row, reports.front().step)) {
      add_class(table, {fmt::format("  {}", row.name), {}, row.time});
    } else {
      add_to(rest, row);
      gathered = true;
    }
  }
  if (gathered) add_class(table, rest);
  add_class(table, sum);
  table.add_rule();
  return sum;
}

/// The baseline's times, and by how much the others differ; sums by kind.
std::string where_the_time_went(std::span<const Report> reports) {
  Table table(columns(reports, "per step, mean over ranks"));
  const auto rows = time_by_class({reports.begin(), reports.end()});
  TimeClass step{"step", {}, std::vector<Seconds>(reports.size())};
  for (const char* kind : {"computation", "exposed communication", "idle"}) add_to(step, add_kind(table, rows, kind, reports));
  add_class(table, step);
  return table.text();
}

std::string sweep_table(const Sweep& sweep, const std::string& baseline, TextStyle style) {
  Table table({{"setting", Table::Align::left}, {"tokens/s"}, {"step"}, {"MFU"}, {"memory"}, {"", Table::Align::left}});
  std::string impossible;
  for (std::size_t i = 0; i < sweep.points.size(); ++i) {
    const SweepPoint& point = sweep.points[i];
    const std::string setting = fmt::format("{}", fmt::join(point.sets, " "));
    if (!point.report) {
      table.add({setting, "not possible"});
      impossible += wrap(point.error, 4);
      continue;
    }
    const Report& r = *point.report;
    const std::string remark = i == sweep.best ? "<- best" : r.memory.fits ? "" : "does not fit";
    table.add({setting, show_count(r.tokens_per_second), show(r.step), show_share(r.mfu), show_memory(r.memory.peak), remark});
  }
  return style.strong(fmt::format("Settings of the baseline {}", baseline)) + "\n" + table.text() + impossible + '\n';
}

std::string comparison_of(std::span<const Report> reports, TextStyle style) {
  return style.strong(fmt::format("Against the baseline {}", reports.front().experiment)) + "\n" + side_by_side(reports) + '\n' +
         style.strong("Where the time went") + " (the baseline's time, then the differences from it)\n" +
         where_the_time_went(reports) + '\n';
}

}  // namespace

std::string summary(const Comparison& comparison, TextStyle style) {
  std::string out;
  const std::vector<Report>& reports = comparison.reports;
  if (comparison.baseline_sweep) out += sweep_table(*comparison.baseline_sweep, reports.front().experiment, style);
  std::size_t shown = 1;
  do {
    std::vector<Report> page{reports.front()};
    while (page.size() <= reports_per_table && shown < reports.size()) page.push_back(reports[shown++]);
    out += comparison_of(page, style);
  } while (shown < reports.size());
  out += style.strong("What bounds each step") + '\n';
  for (const Report& report : reports) {
    std::string text = report.experiment + ":";
    for (const std::string& sentence : what_bounds(report)) text += " " + sentence;
    out += wrap(text, 2);
  }
  return out;
}

}  // namespace fabricast::validation
