#include "validation/document_values.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <vector>

#include "hardware_models/edit_distance.hpp"

namespace fabricast::validation {

namespace {

using hw::JsonNode;

constexpr std::array<std::string_view, 3> names_of_entries{"label", "name", "axis"};
constexpr std::size_t most_names_listed = 12;

const std::string* name_of(const JsonNode& entry) {
  for (const std::string_view key : names_of_entries) {
    const JsonNode* name = entry.find(key);
    if (const auto* text = name ? std::get_if<std::string>(&name->value) : nullptr) return text;
  }
  return nullptr;
}

std::vector<std::string> names_in(const JsonNode& node) {
  std::vector<std::string> names;
  if (const auto* object = std::get_if<JsonNode::Object>(&node.value)) {
    for (const auto& member : *object) names.push_back(member.first);
  } else if (const auto* array = std::get_if<JsonNode::Array>(&node.value)) {
    for (const JsonNode& entry : *array) {
      if (const std::string* name = name_of(entry)) names.push_back(*name);
    }
  }
  return names;
}

std::string remedy(const JsonNode& node, std::string_view key) {
  const std::vector<std::string> names = names_in(node);
  if (names.empty()) return "nothing lies below";
  if (const auto near = hw::nearest(key, names)) return fmt::format("did you mean '{}'?", *near);
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), most_names_listed)));
  return fmt::format("there are {}{}", fmt::join(first, ", "), names.size() > most_names_listed ? ", ..." : "");
}

const JsonNode* child_of(const JsonNode& node, std::string_view key) {
  const auto* array = std::get_if<JsonNode::Array>(&node.value);
  if (!array) return node.find(key);
  const JsonNode* found = nullptr;
  for (const JsonNode& entry : *array) {
    const std::string* name = name_of(entry);
    if (!name || *name != key) continue;
    if (found) throw std::runtime_error(fmt::format("'{}' names two entries", key));
    found = &entry;
  }
  return found;
}

}  // namespace

const JsonNode& value_at(const JsonNode& document, std::string_view path) {
  const JsonNode* node = &document;
  for (std::string_view rest = path;;) {
    const std::size_t dot = rest.find('.');
    const std::string_view key = rest.substr(0, dot);
    const JsonNode* child = child_of(*node, key);
    if (!child) throw std::runtime_error(fmt::format("no '{}' in '{}'; {}", key, path, remedy(*node, key)));
    node = child;
    if (dot == std::string_view::npos) return *node;
    rest.remove_prefix(dot + 1);
  }
}

std::optional<double> as_plain_number(const JsonNode& node) {
  if (const auto* integer = std::get_if<std::int64_t>(&node.value)) return static_cast<double>(*integer);
  if (const auto* number = std::get_if<double>(&node.value)) return *number;
  if (const auto* truth = std::get_if<bool>(&node.value)) return *truth ? 1 : 0;
  return std::nullopt;
}

double number_at(const JsonNode& document, std::string_view path) {
  const JsonNode& node = value_at(document, path);
  const auto number = as_plain_number(node);
  if (!number) throw std::runtime_error(fmt::format("'{}' is {}, no number", path, hw::type_of(node)));
  return *number;
}

}  // namespace fabricast::validation
