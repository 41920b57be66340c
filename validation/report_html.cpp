#include "validation/report_html.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "validation/summary.hpp"

namespace fabricast::validation {

namespace {

constexpr double least_share_drawn = 0.002;   // of the whole; less is less than a pixel
constexpr double hidden_by_rounding = 0.999;

constexpr std::string_view page_style = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #6a737d; --track: #eceff2;
        --computation: #2f6fb2; --communication: #d9822b; --idle: #9aa4ae; --other: #4f8f6b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --paper: #16191d; --faint: #9aa4ae; --track: #2a3037; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
.figures { display: flex; flex-wrap: wrap; gap: 2rem; } .figures b { display: block; font-size: 1.5rem; font-weight: 600; }
.figures span, .note { color: var(--faint); }
table { border-collapse: collapse; width: 100%; } td { padding: .12rem .5rem .12rem 0; white-space: nowrap; }
td.bar { width: 100%; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
.track { display: flex; height: .8rem; background: var(--track); } .track i { display: block; height: 100%; }
.computation { background: var(--computation); } .communication { background: var(--communication); } .idle { background: var(--idle); }
.other { background: var(--other); } .key i { display: inline-block; width: .8rem; height: .8rem; margin: 0 .4rem 0 1rem; }
pre { overflow-x: auto; font-size: 12.5px; line-height: 1.3; }
)";

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      default: result += c;
    }
  }
  return result;
}

struct BarPiece {
  std::string_view colour;
  double share;
};

std::string track(const std::vector<BarPiece>& pieces) {
  std::string bar = R"(<div class="track">)";
  for (const BarPiece& piece : pieces) {
    fmt::format_to(std::back_inserter(bar), R"(<i class="{}" style="width:{:.2f}%"></i>)", piece.colour, 100 * std::clamp(piece.share, 0.0, 1.0));
  }
  return bar + "</div>";
}

struct BarRow {
  std::string label, value, note;
  std::vector<BarPiece> pieces;
};

std::string rows_of(const std::vector<BarRow>& rows) {
  std::string table = "<table>\n";
  for (const BarRow& row : rows) {
    fmt::format_to(std::back_inserter(table), R"(<tr><td>{}</td><td class="number">{}</td><td class="bar">{}</td><td class="note">{}</td></tr>)",
                   escaped(row.label), escaped(row.value), track(row.pieces), escaped(row.note));
    table += '\n';
  }
  return table + "</table>\n";
}

std::string between(const std::optional<ErrorBar>& bar) {
  if (!bar) return {};
  return fmt::format("{} to {}{}", show(bar->low), show(bar->high), bar->outside.empty() ? "" : ", extrapolated");
}

/// The longest first. Communication where it is not hidden.
std::string where_the_time_goes(const Report& report) {
  std::vector<std::pair<Seconds, BarRow>> rows;
  const auto add = [&](const std::string& label, Seconds time, std::string_view colour, const std::string& note) {
    const double share = share_of(time, report.step);
    if (share >= least_share_drawn) rows.push_back({time, {label, show(time), note, {{colour, share}}}});
  };
  for (const OpSummary& op : report.ops) add(op.label, op.busy, "computation", between(op.error_bar));
  for (const CollectiveSummary& collective : report.collectives) {
    add(collective.label, collective.exposed, "communication", share_of(collective.exposed, collective.busy) > hidden_by_rounding ? between(collective.error_bar) : "exposed part");
  }
  add("idle", report.time.idle, "idle", "");
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<BarRow> sorted;
  for (auto& row : rows) sorted.push_back(std::move(row.second));
  return rows_of(sorted);
}

std::string path_bars(const Report& report) {
  std::vector<BarRow> rows;
  for (const CriticalPathSummary::Class& one : report.critical_path.classes) {
    const double share = share_of(one.time, report.step);
    const bool computes = std::any_of(report.ops.begin(), report.ops.end(), [&](const OpSummary& op) { return op.label == one.label; });
    if (share >= least_share_drawn) {
      rows.push_back({one.label, show(one.time), count_of(one.ops, "op"), {{computes ? "computation" : "communication", share}}});
    }
  }
  return rows_of(rows);
}

std::string memory_bars(const MemorySummary& memory) {
  std::vector<BarRow> rows;
  for (const auto& [what, bytes] : memory.breakdown) {
    if (bytes == Bytes(0)) continue;
    rows.push_back({what, show_memory(bytes), "", {{"other", static_cast<double>(bytes.value()) / static_cast<double>(memory.capacity.value())}}});
  }
  return rows_of(rows);
}

std::string figure(const std::string& value, const std::string& what) {
  return fmt::format("<div><b>{}</b><span>{}</span></div>\n", escaped(value), escaped(what));
}

std::string figures(const Report& report) {
  const std::string step = report.error_bar ? fmt::format("a step; four of five from {} to {}", show(report.error_bar->low), show(report.error_bar->high))
                                            : "a step";
  return R"(<div class="figures">)" + figure(show_count(report.tokens_per_second), "tokens/s") + figure(show(report.step), step) +
         figure(show_share(report.mfu), fmt::format("of {} per GPU", show(report.peak))) +
         figure(show_memory(report.memory.peak), fmt::format("of {} of memory: {}", show_memory(report.memory.capacity), report.memory.fits ? "fits" : "DOES NOT FIT")) +
         figure(fmt::format("{:.2f}", report.floors.step_over_floor), "times the largest floor") + "</div>\n";
}

}  // namespace

std::string to_html(const Report& report) {
  const std::string title = fmt::format("{}: {} step of {} tokens on {}, {}", report.experiment, report.phase,
                                        show_count(static_cast<double>(report.tokens_per_step)), count_of(report.ranks, "GPU"),
                                        report.source == "simulated" ? "predicted" : report.source);
  std::string sentences;
  for (const std::string& sentence : what_bounds(report)) sentences += escaped(sentence) + ' ';
  const TimeSummary& time = report.time;
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n";
  page += fmt::format("<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n", escaped(title), page_style, escaped(title));
  page += figures(report);
  page += fmt::format("<p>{}</p>\n<h2>The step, mean over ranks</h2>\n", sentences);
  page += track({{"computation", share_of(time.compute_busy, report.step)},
                 {"communication", share_of(time.communication_exposed, report.step)},
                 {"idle", share_of(time.idle, report.step)}});
  page += fmt::format("<p class=\"key\"><i class=\"computation\"></i>computation {}<i class=\"communication\"></i>exposed communication {}"
                      "<i class=\"idle\"></i>idle {}</p>\n",
                      show_share(share_of(time.compute_busy, report.step)), show_share(share_of(time.communication_exposed, report.step)),
                      show_share(share_of(time.idle, report.step)));
  page += "<h2>Where the time goes</h2>\n" + where_the_time_goes(report);
  if (!report.critical_path.classes.empty()) page += "<h2>What the end of the step waited for</h2>\n" + path_bars(report);
  page += "<h2>Memory of the fullest rank</h2>\n" + memory_bars(report.memory);
  return page + "<h2>In full</h2>\n<pre>" + escaped(summary(report, {})) + "</pre>\n</body>\n</html>\n";
}

}  // namespace fabricast::validation
