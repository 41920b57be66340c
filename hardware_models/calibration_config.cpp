#include "hardware_models/calibration_config.hpp"

#include <utility>

#include "hardware_models/json_reader.hpp"

namespace fabricast::hw {

namespace {

constexpr double most = 1e18;        // rows, bytes, dimensions
constexpr double most_ratio = 1e6;   // measured / predicted

CalibratedRegion read_region(const JsonNode& node) {
  ObjectReader reader(node);
  CalibratedRegion region;
  region.least = reader.number("least", 0.0, most);
  region.most = reader.number("most", 0.0, most);
  region.count = reader.integer("count");
  region.low = reader.number("low", 1e-6, most_ratio);
  region.high = reader.number("high", 1e-6, most_ratio);
  reader.finish();
  if (region.least > region.most || region.low > region.high) fail(node, "least <= most and low <= high do not hold");
  return region;
}

std::map<std::string, std::pair<double, double>> read_domain(const JsonNode& node) {
  std::map<std::string, std::pair<double, double>> domain;
  for (const auto& [name, range] : as_object(node)) {
    const JsonNode::Array& ends = as_array(range);
    if (ends.size() != 2) fail(range, "a range has two ends: [least, most]");
    domain[name] = {as_number(ends[0], 0.0, most), as_number(ends[1], 0.0, most)};
  }
  return domain;
}

CalibratedKind read_kind(const JsonNode& node) {
  ObjectReader reader(node);
  CalibratedKind kind;
  kind.kind = reader.text("kind");
  kind.count = reader.integer("count");
  kind.families = reader.integer("families");
  kind.held_out = reader.boolean("held_out");
  kind.median_error = reader.number("median_error", 0.0, most_ratio);
  kind.p90_error = reader.number("p90_error", 0.0, most_ratio);
  kind.worst_error = reader.number("worst_error", 0.0, most_ratio);
  kind.bias = reader.number("bias", -1.0, most_ratio);
  kind.coverage = reader.number("coverage", 0.0, 1.0);
  kind.domain = read_domain(reader.child("domain"));
  kind.measured_on = reader.optional_text("measured_on");
  const JsonNode& regions = reader.child("regions");
  for (const JsonNode& region : as_array(regions)) kind.regions.push_back(read_region(region));
  if (kind.regions.empty()) fail(regions, "lists no region; a kind that was measured has at least one");
  reader.finish();
  return kind;
}

void check_provenance(const JsonNode& node) {
  ObjectReader reader(node);
  (void)reader.text("command");
  (void)reader.text("date");
  (void)reader.text("machine");
  for (const JsonNode& input : as_array(reader.child("inputs"))) (void)as_text(input);
  reader.finish();
}

}  // namespace

CalibrationRecord read_calibration(const JsonNode& node) {
  ObjectReader reader(node);
  CalibrationRecord record;
  check_provenance(reader.child("provenance"));
  for (const JsonNode& kind : as_array(reader.child("kinds"))) record.kinds.push_back(read_kind(kind));
  for (const auto& [name, value] : as_object(reader.child("constants"))) record.constants[name] = as_duration(value);
  reader.finish();
  return record;
}

}  // namespace fabricast::hw
