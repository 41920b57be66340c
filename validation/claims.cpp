#include "validation/claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "hardware_models/json_reader.hpp"
#include "hardware_models/json_text.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

namespace {

using hw::JsonNode;

constexpr double most_claimed = 1e30;  // of any number claimed

const std::vector<std::pair<std::string, Format>> formats{
    {"number", Format::number},     {"count", Format::count}, {"share", Format::share}, {"factor", Format::factor},
    {"duration", Format::duration}, {"bytes", Format::bytes}, {"rate", Format::rate}};

const std::vector<std::pair<std::string, Relation>> relations{{"equals", Relation::equals},     {"less", Relation::less},
                                                              {"at_most", Relation::at_most},   {"more", Relation::more},
                                                              {"at_least", Relation::at_least}, {"between", Relation::between}};

std::vector<std::string> texts(const JsonNode* node) {
  std::vector<std::string> result;
  if (!node) return result;
  for (const JsonNode& element : hw::as_array(*node)) result.push_back(hw::as_text(element));
  return result;
}

/// A value as --set takes it.
std::string setting_value(const JsonNode& node) {
  if (const auto* integer = std::get_if<std::int64_t>(&node.value)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&node.value)) return hw::json_number(*number);
  if (const auto* truth = std::get_if<bool>(&node.value)) return *truth ? "true" : "false";
  return hw::as_text(node);
}

/// A name that expressions can hold: it must not look like the path of something else.
void check_name(const JsonNode& node, const std::string& name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  const bool digit_first = !name.empty() && name[0] >= '0' && name[0] <= '9';
  if (name.empty() || digit_first || !std::all_of(name.begin(), name.end(), plain)) {
    hw::fail(node, fmt::format("{} is no name for expressions; use letters, digits and _, no digit first", hw::shown(name)));
  }
  if (name == "claimed" || name == "claims") hw::fail(node, fmt::format("'{}' already has a meaning in expressions", name));
}

ClaimCase read_case(const std::string& name, const JsonNode& node, const std::filesystem::path& folder) {
  check_name(node, name);
  hw::ObjectReader reader(node);
  ClaimCase result{name, (folder / reader.text("experiment")).lexically_normal(), texts(reader.optional_child("set")), {}, {}};
  if (const JsonNode* best = reader.optional_child("best")) {
    hw::ObjectReader axis(*best);
    result.best_key = axis.text("key");
    for (const JsonNode& value : hw::as_array(axis.child("values"))) result.best_values.push_back(setting_value(value));
    if (result.best_values.empty()) hw::fail(*best, "names no value to try");
    axis.finish();
  }
  reader.finish();
  return result;
}

Reading read_reading(const JsonNode& node) {
  hw::ObjectReader reader(node);
  const JsonNode& expression = reader.child("expression");
  Reading reading{reader.text("reading"), hw::as_text(expression), hw::place_of(expression)};
  reader.finish();
  return reading;
}

std::vector<Reading> read_readings(const JsonNode* node) {
  std::vector<Reading> readings;
  if (!node) return readings;
  for (const JsonNode& element : hw::as_array(*node)) readings.push_back(read_reading(element));
  return readings;
}

std::vector<Reading> read_needs(const JsonNode* node) {
  std::vector<Reading> needs;
  if (!node) return needs;
  for (const JsonNode& element : hw::as_array(*node)) needs.push_back({hw::as_text(element), {}, hw::place_of(element)});
  return needs;
}

void read_claimed(hw::ObjectReader& reader, Claim& claim) {
  const JsonNode& claimed = reader.child("claimed");
  if (claim.relation != Relation::between) {
    claim.claimed = hw::as_number(claimed, -most_claimed, most_claimed);
    return;
  }
  const JsonNode::Array& ends = hw::as_array(claimed);
  if (ends.size() != 2) hw::fail(claimed, "is a range and takes two numbers, as in [0.5, 0.6]");
  claim.claimed = hw::as_number(ends[0], -most_claimed, most_claimed);
  claim.claimed_to = hw::as_number(ends[1], claim.claimed, most_claimed);
}

/// `within` is relative, `rounding` absolute; only `equals` takes one, and it needs one.
void read_slack(hw::ObjectReader& reader, Claim& claim) {
  const auto within = reader.optional_number("within", 0, 1);
  const auto rounding = reader.optional_number("rounding", 0, most_claimed);
  if ((within.has_value() || rounding.has_value()) != (claim.relation == Relation::equals) || (within && rounding)) {
    hw::fail(reader.node(), "'equals' takes either 'within' (relative) or 'rounding' (absolute), and no other relation takes one");
  }
  claim.slack = rounding ? *rounding : within.value_or(0) * std::abs(claim.claimed);
}

Claim read_claim(const JsonNode& node) {
  hw::ObjectReader reader(node);
  Claim claim;
  claim.id = reader.text("id");
  check_name(reader.child("id"), claim.id);
  claim.statement = reader.text("statement");
  claim.place = reader.text("place");
  claim.format = reader.optional_choice("format", formats).value_or(Format::number);
  claim.unit = reader.optional_text("unit").value_or("");
  claim.relation = reader.optional_choice("relation", relations).value_or(Relation::equals);
  read_claimed(reader, claim);
  read_slack(reader, claim);
  claim.own = read_readings(reader.optional_child("own"));
  claim.model = read_readings(reader.optional_child("model"));
  claim.needs = read_needs(reader.optional_child("needs"));
  claim.missing = reader.optional_text("missing").value_or("");
  reader.finish();
  if (claim.own.empty() && claim.model.empty() && claim.missing.empty()) {
    hw::fail(node, "has nothing to be judged by; give 'own' or 'model' readings, or say what is 'missing'");
  }
  return claim;
}

void read_quantities(const JsonNode* node, ClaimSet& set) {
  if (!node) return;
  for (const auto& [name, value] : hw::as_object(*node)) {
    check_name(value, name);
    set.quantities.emplace(name, hw::as_number(value, -most_claimed, most_claimed));
  }
}

void check_unique(const JsonNode& claims, const std::vector<Claim>& read) {
  std::set<std::string> ids;
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (!ids.insert(read[i].id).second) hw::fail(hw::as_array(claims)[i], fmt::format("a second claim is called '{}'", read[i].id));
  }
}

std::string with_unit(std::string text, const std::string& unit) { return unit.empty() ? text : text + " " + unit; }

}  // namespace

ClaimSet load_claims(const std::filesystem::path& path) {
  const JsonNode document = hw::parse_json_file(path);
  hw::ObjectReader reader(document);
  ClaimSet set;
  set.name = reader.text("name");
  set.source = reader.text("source");
  for (const auto& [name, node] : hw::as_object(reader.child("cases"))) set.cases.push_back(read_case(name, node, path.parent_path()));
  read_quantities(reader.optional_child("quantities"), set);
  for (const ClaimCase& one : set.cases) {
    if (set.quantities.count(one.name) > 0) hw::fail(document, fmt::format("'{}' is both a case and a quantity", one.name));
  }
  const JsonNode& claims = reader.child("claims");
  for (const JsonNode& node : hw::as_array(claims)) set.claims.push_back(read_claim(node));
  check_unique(claims, set.claims);
  reader.finish();
  return set;
}

std::string show_as(Format format, double value, const std::string& unit) {
  switch (format) {
    case Format::number:
      return with_unit(fmt::format("{:.4g}", value), unit);
    case Format::count:
      return with_unit(show_count(value), unit);
    case Format::share:
      return show_share(value);
    case Format::factor:
      return show_factor(value);
    case Format::duration:
      return show(Seconds(value));
    case Format::bytes:
      return show_traffic(value);
    case Format::rate:
      return show(BytesPerSecond(value));
  }
  return {};
}

std::optional<Format> format_named(std::string_view word) {
  const auto found = std::find_if(formats.begin(), formats.end(), [&](const auto& entry) { return entry.first == word; });
  if (found == formats.end()) return std::nullopt;
  return found->second;
}

}  // namespace fabricast::validation
