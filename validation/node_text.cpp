#include "validation/node_text.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "hardware_models/json_text.hpp"

namespace fabricast::validation {

namespace {

using hw::JsonNode;

bool annotates(std::string_view key) { return key == "$schema" || key == "comment" || key == "source"; }

class NodeText {
 public:
  explicit NodeText(bool canonical) : canonical_(canonical) {}

  void write(const JsonNode& node) {
    std::visit([this](const auto& value) { put(value); }, node.value);
  }
  [[nodiscard]] std::string take() && { return std::move(out_); }

 private:
  void put(std::nullptr_t) { out_ += "null"; }
  void put(bool value) { out_ += value ? "true" : "false"; }
  void put(std::int64_t value) { out_ += std::to_string(value); }
  void put(double value) { out_ += hw::json_number(value); }
  void put(const std::string& value) { out_ += hw::json_quote(value); }

  void put(const JsonNode::Array& elements) {
    out_ += '[';
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (i > 0) out_ += ", ";
      write(elements[i]);
    }
    out_ += ']';
  }

  void put(const JsonNode::Object& members) {
    std::vector<const JsonNode::Object::value_type*> shown;
    for (const auto& member : members) {
      if (!canonical_ || !annotates(member.first)) shown.push_back(&member);
    }
    if (canonical_) std::sort(shown.begin(), shown.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
    out_ += '{';
    for (std::size_t i = 0; i < shown.size(); ++i) {
      if (i > 0) out_ += ", ";
      out_ += hw::json_quote(shown[i]->first) + ": ";
      write(shown[i]->second);
    }
    out_ += '}';
  }

  bool canonical_;
  std::string out_;
};

std::string text_of(const JsonNode& node, bool canonical) {
  NodeText text(canonical);
  text.write(node);
  return std::move(text).take();
}

}  // namespace

std::string one_line_text(const JsonNode& node) { return text_of(node, false); }

std::string canonical_text(const JsonNode& node) { return text_of(node, true); }

}  // namespace fabricast::validation
