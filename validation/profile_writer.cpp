#include "validation/profile_writer.hpp"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <utility>

#include "validation/json_writer.hpp"

namespace fabricast::validation {

namespace {

using hw::JsonNode;

/// Four significant digits say what a residual can; more would only make reviews long.
double rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

JsonNode& member_of(JsonNode& node, const std::string& key) {
  if (auto* array = std::get_if<JsonNode::Array>(&node.value)) return array->at(static_cast<std::size_t>(std::stoul(key)));
  if (JsonNode* found = node.find(key)) return *found;
  auto* object = std::get_if<JsonNode::Object>(&node.value);
  if (object == nullptr) throw std::invalid_argument("a profile's change points into a value");
  object->emplace_back(key, JsonNode{JsonNode::Object{}, node.file, 0, ""});
  return object->back().second;
}

void apply(JsonNode& root, const ProfileChange& change) {
  JsonNode* node = &root;
  for (std::size_t begin = 1; begin <= change.pointer.size();) {
    const std::size_t end = std::min(change.pointer.find('/', begin), change.pointer.size());
    node = &member_of(*node, change.pointer.substr(begin, end - begin));
    begin = end + 1;
  }
  std::visit([&](const auto& value) { node->value = value; }, change.value);
}

/// The writer's one generic caller: values as they were read.
struct WriteNode {
  JsonWriter& json;
  const std::string& name;

  void operator()(std::nullptr_t) const { throw std::invalid_argument("a profile holds no null"); }
  void operator()(const JsonNode::Object& members) const {
    json.open_object(name);
    for (const auto& [key, value] : members) std::visit(WriteNode{json, key}, value.value);
    json.close();
  }
  void operator()(const JsonNode::Array& elements) const {
    json.open_array(name);
    for (const JsonNode& element : elements) std::visit(WriteNode{json, ""}, element.value);
    json.close();
  }
  void operator()(bool value) const { json.field(name, value); }
  void operator()(std::int64_t value) const { json.field(name, value); }
  void operator()(double value) const { json.field(name, value); }
  void operator()(const std::string& value) const { json.field(name, value); }
};

void write_provenance(JsonWriter& json, const Provenance& provenance) {
  json.open_object("provenance");
  json.field("command", provenance.command);
  json.field("date", provenance.date);
  json.field("machine", provenance.machine);
  json.open_array("inputs");
  for (const std::string& input : provenance.inputs) json.element(input);
  json.close();
  json.close();
}

void write_kind(JsonWriter& json, const hw::CalibratedKind& kind) {
  json.open_object();
  json.field("kind", kind.kind);
  if (kind.measured_on) json.field("measured_on", *kind.measured_on);
  json.field("count", kind.count);
  json.field("families", kind.families);
  json.field("held_out", kind.held_out);
  json.field("median_error", rounded(kind.median_error));
  json.field("p90_error", rounded(kind.p90_error));
  json.field("worst_error", rounded(kind.worst_error));
  json.field("bias", rounded(kind.bias));
  json.field("coverage", rounded(kind.coverage));
  json.open_object("domain");
  for (const auto& [name, range] : kind.domain) {
    json.open_array(name);
    json.element(range.first);
    json.element(range.second);
    json.close();
  }
  json.close();
  json.open_array("regions");
  for (const hw::CalibratedRegion& region : kind.regions) {
    json.open_object();
    json.field("least", region.least);
    json.field("most", region.most);
    json.field("count", region.count);
    json.field("low", rounded(region.low));
    json.field("high", rounded(region.high));
    json.close();
  }
  json.close();
  json.close();
}

void write_record(JsonWriter& json, const hw::CalibrationRecord& record, const Provenance& provenance) {
  json.open_object("calibration");
  write_provenance(json, provenance);
  json.open_array("kinds");
  for (const hw::CalibratedKind& kind : record.kinds) write_kind(json, kind);
  json.close();
  json.open_object("constants");
  for (const auto& [name, time] : record.constants) json.field(name, duration_text(time.value()));
  json.close();
  json.close();
}

}  // namespace

std::string duration_text(double seconds) { return seconds < 1e-3 ? fmt::format("{:.4g} us", seconds * 1e6) : fmt::format("{:.4g} ms", seconds * 1e3); }

std::string rate_text(double bytes_per_second) { return fmt::format("{:.4g} GB/s", bytes_per_second * 1e-9); }

std::string bytes_text(double bytes) {
  return bytes < 1e3 ? fmt::format("{:.0f} B", bytes) : bytes < 1e6 ? fmt::format("{:.4g} kB", bytes * 1e-3) : fmt::format("{:.4g} MB", bytes * 1e-6);
}

std::string changed_text(const JsonNode& base, const std::vector<ProfileChange>& changes) {
  JsonNode document = base;
  for (const ProfileChange& change : changes) apply(document, change);
  JsonWriter json;
  json.open_object();
  for (const auto& [key, value] : std::get<JsonNode::Object>(document.value)) std::visit(WriteNode{json, key}, value.value);
  json.close();
  return std::move(json).text();
}

std::string profile_text(const JsonNode& base, const std::vector<ProfileChange>& changes, const hw::CalibrationRecord& record,
                         const Provenance& provenance) {
  JsonNode profile = base;
  for (const ProfileChange& change : changes) apply(profile, change);
  auto& members = std::get<JsonNode::Object>(profile.value);
  std::erase_if(members, [](const auto& member) { return member.first == "calibration"; });
  JsonWriter json;
  json.open_object();
  for (const auto& [key, value] : members) std::visit(WriteNode{json, key}, value.value);
  write_record(json, record, provenance);
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
