#include <utility>

#include "validation/compare.hpp"
#include "validation/report_json.hpp"

namespace fabricast::validation {

namespace {

void write_point(JsonWriter& json, const SweepPoint& point) {
  json.open_object();
  json.open_array("set");
  for (const std::string& set : point.sets) json.element(set);
  json.close();
  if (point.report) {
    json.field("step_seconds", point.report->step.value());
    json.field("tokens_per_second", point.report->tokens_per_second);
    json.field("mfu", point.report->mfu);
    json.field("peak_bytes", point.report->memory.peak.value());
    json.field("fits", point.report->memory.fits);
  } else {
    json.field("error", point.error);
  }
  json.close();
}

void write_sweep(JsonWriter& json, const Sweep& sweep) {
  json.open_object("baseline_sweep");
  json.open_array("points");
  for (const SweepPoint& point : sweep.points) write_point(json, point);
  json.close();
  json.field("best", static_cast<std::int64_t>(sweep.best));
  json.close();
}

void write_class(JsonWriter& json, const TimeClass& row) {
  json.open_object();
  json.field("label", row.name);
  json.field("kind", row.kind);
  json.open_array("seconds");
  for (const Seconds time : row.time) json.element(time.value());
  json.close();
  json.close();
}

}  // namespace

std::string to_json(const Comparison& comparison) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.comparison/1");
  json.field("baseline", comparison.reports.front().experiment);
  json.open_array("speedups");
  for (const double speedup : speedups(comparison)) json.element(speedup);
  json.close();
  json.open_array("time_by_class");
  for (const TimeClass& row : time_by_class(comparison.reports)) write_class(json, row);
  json.close();
  if (comparison.baseline_sweep) write_sweep(json, *comparison.baseline_sweep);
  json.open_array("reports");
  for (const Report& report : comparison.reports) {
    json.open_object();
    write_report(json, report);
    json.close();
  }
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
