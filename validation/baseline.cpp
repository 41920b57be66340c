#include "validation/baseline.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "hardware_models/json_reader.hpp"
#include "validation/document_values.hpp"
#include "validation/json_writer.hpp"

namespace fabricast::validation {

namespace {

using hw::JsonNode;

constexpr double most = 1e30;  // of any metric
constexpr std::array<const char*, 3> kinds{"computation", "exposed communication", "idle"};

BaselineMetric read_metric(const std::string& path, const JsonNode& node) {
  hw::ObjectReader reader(node);
  BaselineMetric metric;
  metric.path = path;
  metric.value = reader.number("value", -most, most);
  metric.side = reader.choice<Side>("side", {{"lower", Side::lower}, {"upper", Side::upper}, {"both", Side::both}});
  const auto relative = reader.optional_number("relative", 0, 1);
  const auto absolute = reader.optional_number("absolute", 0, most);
  if (relative.has_value() == absolute.has_value()) hw::fail(node, "takes a tolerance, either 'relative' or 'absolute'");
  metric.relative = relative.has_value();
  metric.tolerance = relative ? *relative : *absolute;
  reader.finish();
  return metric;
}

std::vector<ClassTime> read_times(const JsonNode& node) {
  hw::ObjectReader reader(node);
  std::vector<ClassTime> times;
  for (const char* kind : kinds) {
    const JsonNode* classes = reader.optional_child(kind);
    if (!classes) continue;
    for (const auto& [name, seconds] : hw::as_object(*classes)) times.push_back({kind, name, Seconds(hw::as_number(seconds, 0, most))});
  }
  reader.finish();
  return times;
}

BaselineEntry read_entry(const JsonNode& node, const std::filesystem::path& folder) {
  hw::ObjectReader reader(node);
  BaselineEntry entry;
  entry.experiment = reader.text("experiment");
  entry.path = (folder / entry.experiment).lexically_normal();
  if (const JsonNode* sets = reader.optional_child("set")) {
    for (const JsonNode& set : hw::as_array(*sets)) entry.sets.push_back(hw::as_text(set));
  }
  entry.name = reader.optional_text("name").value_or("");
  for (const auto& [path, metric] : hw::as_object(reader.child("metrics"))) entry.metrics.push_back(read_metric(path, metric));
  if (entry.metrics.empty()) hw::fail(node, "names no metric, as in \"metrics\": {\"tokens_per_second\": {...}}");
  if (const JsonNode* time = reader.optional_child("time")) entry.times = read_times(*time);
  reader.finish();
  return entry;
}

void write_metric(JsonWriter& json, const BaselineMetric& metric) {
  json.open_object(metric.path);
  json.field("value", metric.value);
  json.field(metric.relative ? "relative" : "absolute", metric.tolerance);
  json.field("side", name_of(metric.side));
  json.close();
}

/// Seven digits tell every change that matters, and do not change with the last bit of a logarithm.
double rounded(Seconds time) { return std::strtod(fmt::format("{:.7g}", time.value()).c_str(), nullptr); }

void write_times(JsonWriter& json, const std::vector<ClassTime>& times) {
  json.open_object("time");
  for (const char* kind : kinds) {
    json.open_object(kind);
    for (const ClassTime& one : times) {
      if (one.kind == kind) json.field(one.name, rounded(one.time));
    }
    json.close();
  }
  json.close();
}

void write_entry(JsonWriter& json, const BaselineEntry& entry) {
  json.open_object();
  json.field("experiment", entry.experiment);
  if (!entry.sets.empty()) {
    json.open_array("set");
    for (const std::string& set : entry.sets) json.element(set);
    json.close();
  }
  if (!entry.name.empty()) json.field("name", entry.name);
  json.open_object("metrics");
  for (const BaselineMetric& metric : entry.metrics) write_metric(json, metric);
  json.close();
  if (!entry.times.empty()) write_times(json, entry.times);
  json.close();
}

void add(std::vector<ClassTime>& times, const char* kind, std::string name, Seconds time) {
  for (ClassTime& one : times) {
    if (one.kind != kind || one.name != name) continue;
    one.time += time;
    return;
  }
  times.push_back({kind, std::move(name), time});
}

void add_all(std::vector<ClassTime>& times, const char* kind, const JsonNode& classes, const char* field) {
  const auto* array = std::get_if<JsonNode::Array>(&classes.value);
  if (!array) throw std::runtime_error("is no list of classes");
  for (const JsonNode& one : *array) {
    const auto* label = std::get_if<std::string>(&value_at(one, "label").value);
    if (!label) throw std::runtime_error("has a label that is no string");
    add(times, kind, *label, Seconds(number_at(one, field)));
  }
}

}  // namespace

std::string_view name_of(Side side) {
  switch (side) {
    case Side::lower:
      return "lower";
    case Side::upper:
      return "upper";
    case Side::both:
      return "both";
  }
  return "";
}

Baseline load_baseline(const std::filesystem::path& path) {
  const JsonNode document = hw::parse_json_file(path);
  hw::ObjectReader reader(document);
  Baseline baseline;
  baseline.schema = reader.optional_text("$schema").value_or("");
  baseline.comment = reader.optional_text("comment").value_or("");
  baseline.source = reader.optional_text("source").value_or("");
  const JsonNode& entries = reader.child("experiments");
  for (const JsonNode& entry : hw::as_array(entries)) baseline.entries.push_back(read_entry(entry, path.parent_path()));
  if (baseline.entries.empty()) hw::fail(entries, "names no experiment");
  reader.finish();
  return baseline;
}

std::string to_json(const Baseline& baseline) {
  JsonWriter json;
  json.open_object();
  if (!baseline.schema.empty()) json.field("$schema", baseline.schema);
  if (!baseline.comment.empty()) json.field("comment", baseline.comment);
  if (!baseline.source.empty()) json.field("source", baseline.source);
  json.open_array("experiments");
  for (const BaselineEntry& entry : baseline.entries) write_entry(json, entry);
  json.close();
  json.close();
  return std::move(json).text();
}

std::vector<ClassTime> class_times(const JsonNode& report) {
  std::vector<ClassTime> times;
  add_all(times, kinds[0], value_at(report, "ops"), "busy_seconds");
  add_all(times, kinds[1], value_at(report, "collectives"), "exposed_seconds");
  const double waiting = number_at(report, "time.waiting_seconds");
  times.push_back({kinds[2], "waiting for a peer", Seconds(waiting)});
  times.push_back({kinds[2], "idle otherwise", Seconds(number_at(report, "time.idle_seconds") - waiting)});
  return times;
}

}  // namespace fabricast::validation
