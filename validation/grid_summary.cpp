#include "validation/grid_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "validation/json_writer.hpp"
#include "validation/summary.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t reasons_shown = 5;

std::size_t misfits(const std::vector<PointResult>& points) {
  return static_cast<std::size_t>(std::count_if(points.begin(), points.end(), [](const PointResult& p) { return p.figures && !p.figures->fits; }));
}

/// The last key of a path, where no other path ends in it.
std::vector<std::string> short_names(const std::vector<std::string>& paths) {
  const auto last = [](const std::string& path) { return path.substr(path.rfind('.') + 1); };
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    const auto alike = std::count_if(paths.begin(), paths.end(), [&](const std::string& other) { return last(other) == last(path); });
    names.push_back(alike == 1 ? last(path) : path);
  }
  return names;
}

std::string shown_value(const std::string& json) {
  constexpr std::size_t longest = 24;
  const bool quoted = json.size() >= 2 && json.front() == '"';
  std::string text = quoted ? json.substr(1, json.size() - 2) : json;
  if (text.size() > longest) text = "..." + text.substr(text.size() - longest);
  return text;
}

std::string best_table(const GridSummary& sweep, const std::vector<std::size_t>& ranked, std::size_t top) {
  std::vector<Table::Column> columns{{"best", Table::Align::left}};
  for (const std::string& name : short_names(sweep.keys)) columns.push_back({name});
  for (const char* heading : {"tokens/s", "step", "MFU", "exposed", "memory", "fits"}) columns.push_back({heading});
  Table table(std::move(columns));
  for (std::size_t i = 0; i < std::min(top, ranked.size()); ++i) {
    const PointResult& point = sweep.points[ranked[i]];
    const PointFigures& figures = *point.figures;
    std::vector<std::string> cells{std::to_string(i + 1)};
    for (const std::string& value : point.values) cells.push_back(shown_value(value));
    for (std::string cell : {show_count(figures.tokens_per_second), show(figures.step), show_share(figures.mfu), show_share(figures.exposed_share),
                             show_memory(figures.peak), std::string(figures.fits ? "yes" : "no")}) {
      cells.push_back(std::move(cell));
    }
    table.add(std::move(cells));
  }
  return table.text();
}

}  // namespace

std::vector<std::size_t> ranking(const std::vector<PointResult>& points) {
  std::vector<std::size_t> ranked;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].figures) ranked.push_back(i);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t a, std::size_t b) {
    const PointFigures &x = *points[a].figures, &y = *points[b].figures;
    if (x.fits != y.fits) return x.fits;
    return x.tokens_per_second > y.tokens_per_second;
  });
  return ranked;
}

std::vector<Reason> reasons(const std::vector<PointResult>& points) {
  std::map<std::string, std::size_t> count;
  for (const PointResult& point : points) {
    if (!point.figures) ++count[point.error];
  }
  std::vector<Reason> result;
  for (const auto& [text, n] : count) result.push_back({text, n});
  std::stable_sort(result.begin(), result.end(), [](const Reason& a, const Reason& b) { return a.points > b.points; });
  return result;
}

std::string summary(const GridSummary& sweep, std::size_t top, TextStyle style) {
  const std::vector<std::size_t> ranked = ranking(sweep.points);
  const std::size_t impossible = sweep.points.size() - ranked.size(), misfit = misfits(sweep.points);
  std::string text = style.strong(fmt::format("{}: {}", sweep.experiment, count_of(static_cast<std::int64_t>(sweep.points.size()), "point"))) +
                     fmt::format(" ({} taken from the file), {} that the configuration forbids, {} that do not fit in memory\n", sweep.taken_from_file,
                                 impossible, misfit);
  if (!ranked.empty()) text += "\n" + best_table(sweep, ranked, top);
  const std::vector<Reason> why = reasons(sweep.points);
  if (!why.empty()) text += "\n" + style.strong("Why points are forbidden") + "\n";
  for (std::size_t i = 0; i < std::min(why.size(), reasons_shown); ++i) text += wrap(fmt::format("{} x {}", why[i].points, why[i].text), 2);
  if (why.size() > reasons_shown) text += fmt::format("  and {} more reasons\n", why.size() - reasons_shown);
  return text;
}

std::string to_json(const GridSummary& sweep) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.sweep/1");
  json.field("experiment", sweep.experiment);
  json.field("points", static_cast<std::int64_t>(sweep.points.size()));
  json.field("taken_from_file", static_cast<std::int64_t>(sweep.taken_from_file));
  json.field("do_not_fit", static_cast<std::int64_t>(misfits(sweep.points)));
  json.open_array("forbidden");
  for (const Reason& reason : reasons(sweep.points)) {
    json.open_object();
    json.field("points", static_cast<std::int64_t>(reason.points));
    json.field("why", reason.text);
    json.close();
  }
  json.close();
  json.open_array("best");
  for (const std::size_t i : ranking(sweep.points)) {
    const PointResult& point = sweep.points[i];
    json.open_object();
    json.field_json("set", point.key.set);
    json.field("tokens_per_second", point.figures->tokens_per_second);
    json.field("step_seconds", point.figures->step.value());
    json.field("mfu", point.figures->mfu);
    json.field("exposed_share", point.figures->exposed_share);
    json.field("peak_bytes", point.figures->peak.value());
    json.field("fits", point.figures->fits);
    json.close();
  }
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
