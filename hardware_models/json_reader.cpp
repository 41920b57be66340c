#include "hardware_models/json_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hardware_models/quantity.hpp"

namespace fabricast::hw {
namespace {

[[noreturn]] void reject_type(const JsonNode& node, std::string_view wanted, const std::string& remedy = {}) {
  fail(node, fmt::format("must be {}, but is {}{}{}", wanted, type_of(node), remedy.empty() ? "" : "; ", remedy));
}

std::string listed(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + shown(word);
  return list;
}

/// What to do about an unknown word.
std::string remedy_for(std::string_view word, const std::vector<std::string>& known, std::string_view noun) {
  if (const auto near = nearest(word, known)) return fmt::format("did you mean {}?", shown(*near));
  if (known.empty()) return "remove it";
  return fmt::format("known {}: {}", noun, listed(known));
}

/// Digits in quotes are the commonest slip; 2.0 and 1e3 are numbers, but no integers.
std::string integer_remedy(const JsonNode& node) {
  if (const auto* text = std::get_if<std::string>(&node.value)) {
    const bool digits = !text->empty() && text->find_first_not_of("0123456789") == std::string::npos;
    if (digits && text->size() < 19) return fmt::format("write {} without quotes", *text);
  }
  if (std::holds_alternative<double>(node.value)) return "write it without a fraction or an exponent";
  return {};
}

template <class Quantity>
Quantity as_quantity(const JsonNode& node, Quantity (*parse)(std::string_view), std::string_view example) {
  const auto* text = std::get_if<std::string>(&node.value);
  if (!text) reject_type(node, "a quantity with its unit in quotes", fmt::format("write it as in \"{}\"", example));
  try {
    return parse(*text);
  } catch (const QuantityError& error) {
    fail(node, error.what());
  }
}

template <class Quantity>
void require_range(const JsonNode& node, Quantity value, Quantity least, Quantity most, std::string_view range) {
  if (value < least || value > most) fail(node, fmt::format("is out of range; it must lie between {}", range));
}

bool is_annotation(std::string_view key) { return key == "$schema" || key == "comment" || key == "source"; }

}  // namespace

std::int64_t as_integer(const JsonNode& node, IntegerRange range) {
  const auto* value = std::get_if<std::int64_t>(&node.value);
  const std::string wanted = fmt::format("an integer from {} to {}", range.least, range.most);
  if (!value) reject_type(node, wanted, integer_remedy(node));
  if (*value < range.least || *value > range.most) fail(node, "is out of range; it must be " + wanted);
  return *value;
}

double as_number(const JsonNode& node, double least, double most) {
  double value = 0;
  if (const auto* integer = std::get_if<std::int64_t>(&node.value)) {
    value = static_cast<double>(*integer);
  } else if (const auto* number = std::get_if<double>(&node.value)) {
    value = *number;
  } else {
    reject_type(node, fmt::format("a number from {} to {}", least, most));
  }
  if (!(value >= least && value <= most)) fail(node, fmt::format("is out of range; it must be a number from {} to {}", least, most));
  return value;
}

bool as_boolean(const JsonNode& node) {
  const auto* value = std::get_if<bool>(&node.value);
  if (!value) reject_type(node, "true or false");
  return *value;
}

const std::string& as_text(const JsonNode& node) {
  const auto* value = std::get_if<std::string>(&node.value);
  if (!value) reject_type(node, "a string", "put it in quotes");
  return *value;
}

const JsonNode::Array& as_array(const JsonNode& node) {
  const auto* value = std::get_if<JsonNode::Array>(&node.value);
  if (!value) reject_type(node, "an array");
  return *value;
}

const JsonNode::Object& as_object(const JsonNode& node) {
  const auto* value = std::get_if<JsonNode::Object>(&node.value);
  if (!value) reject_type(node, "an object");
  return *value;
}

Bytes as_bytes(const JsonNode& node) { return as_quantity(node, parse_bytes, "80 GiB"); }

Seconds as_duration(const JsonNode& node) {
  const Seconds value = as_quantity(node, parse_duration, "1.5 us");
  require_range(node, value, Seconds(0), Seconds(1), "0 s and 1 s");
  return value;
}

// Bounds that no hardware reaches; they keep times that follow from a rate within the range of simulated time.
BytesPerSecond as_bandwidth(const JsonNode& node) {
  const BytesPerSecond value = as_quantity(node, parse_bandwidth, "400 Gbit/s");
  require_range(node, value, BytesPerSecond(1e6), BytesPerSecond(1e18), "1 MB/s and 1000000 TB/s");
  return value;
}

FlopPerSecond as_flop_rate(const JsonNode& node) {
  const FlopPerSecond value = as_quantity(node, parse_flop_rate, "989.4 TFLOP/s");
  require_range(node, value, FlopPerSecond(1e6), FlopPerSecond(1e21), "0.001 GFLOP/s and 1000000 PFLOP/s");
  return value;
}

std::size_t as_choice(const JsonNode& node, const std::vector<std::string>& words) {
  const auto* value = std::get_if<std::string>(&node.value);
  if (!value) reject_type(node, "one of " + listed(words));
  const auto found = std::find(words.begin(), words.end(), *value);
  if (found == words.end()) {
    const auto near = nearest(*value, words);
    fail(node, fmt::format("must be one of {}{}", listed(words), near ? fmt::format("; did you mean {}?", shown(*near)) : ""));
  }
  return static_cast<std::size_t>(found - words.begin());
}

ObjectReader::ObjectReader(const JsonNode& object) : object_(object) { (void)as_object(object); }

bool ObjectReader::knows(std::string_view key) const { return std::find(known_.begin(), known_.end(), key) != known_.end(); }

const JsonNode* ObjectReader::optional_child(std::string_view key) {
  if (!knows(key)) known_.emplace_back(key);
  return object_.find(key);
}

const JsonNode& ObjectReader::child(std::string_view key) {
  if (const JsonNode* node = optional_child(key)) return *node;
  std::vector<std::string> unasked;
  for (const auto& member : as_object(object_)) {
    if (!knows(member.first) && !is_annotation(member.first)) unasked.push_back(member.first);
  }
  const auto near = nearest(key, unasked);
  fail(object_, fmt::format("the key {} is missing; {}", shown(key),
                            near ? fmt::format("was it meant by {}?", shown(*near)) : std::string("add it")));
}

std::optional<std::int64_t> ObjectReader::optional_integer(std::string_view key, IntegerRange range) {
  const JsonNode* node = optional_child(key);
  return node ? std::optional(as_integer(*node, range)) : std::nullopt;
}

std::optional<double> ObjectReader::optional_number(std::string_view key, double least, double most) {
  const JsonNode* node = optional_child(key);
  return node ? std::optional(as_number(*node, least, most)) : std::nullopt;
}

std::optional<bool> ObjectReader::optional_boolean(std::string_view key) {
  const JsonNode* node = optional_child(key);
  return node ? std::optional(as_boolean(*node)) : std::nullopt;
}

std::optional<std::string> ObjectReader::optional_text(std::string_view key) {
  const JsonNode* node = optional_child(key);
  return node ? std::optional(as_text(*node)) : std::nullopt;
}

std::optional<Bytes> ObjectReader::optional_bytes(std::string_view key) {
  const JsonNode* node = optional_child(key);
  return node ? std::optional(as_bytes(*node)) : std::nullopt;
}

std::optional<FlopPerSecond> ObjectReader::optional_flop_rate(std::string_view key) {
  const JsonNode* node = optional_child(key);
  return node ? std::optional(as_flop_rate(*node)) : std::nullopt;
}

void ObjectReader::finish() const {
  for (const auto& [key, node] : as_object(object_)) {
    if (is_annotation(key)) {
      (void)as_text(node);
    } else if (!knows(key)) {
      throw ConfigError(fmt::format("{}: unknown key {}; {}", place_of(node), shown(key), remedy_for(key, known_, "keys")));
    }
  }
}

}  // namespace fabricast::hw
