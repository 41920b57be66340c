#include "hardware_models/json_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "hardware_models/json_text.hpp"

namespace fabricast::hw {
namespace {

constexpr std::size_t most_text = std::size_t{4} << 20U;
constexpr std::size_t most_values = std::size_t{1} << 17U;
constexpr std::size_t most_depth = 64;
constexpr std::size_t longest_pointer = 1024;  // every value below carries it

/// The parser reads through this and so tells the line of the last character that it has used; blanks after a value do not count, since
/// the parser looks one character ahead.
struct Position {
  int line = 1;        // of the next character
  int token_line = 1;  // of the last character that was no blank
  void pass(char character) {
    if (character == '\n') {
      ++line;
    } else if (character != ' ' && character != '\t' && character != '\r') {
      token_line = line;
    }
  }
};

class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, Position* position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    position_->pass(*at_++);
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  Position* position_;
};

/// The parser's message without its own count of lines, and with what it read last cut to a readable length.
std::string reason_of(const std::string& what) {
  std::string reason = what;
  if (const auto column = reason.find(", column "); column != std::string::npos) {
    if (const auto colon = reason.find(": ", column); colon != std::string::npos) reason.erase(0, colon + 2);
  }
  const std::string opening = "last read: '";
  const auto begin = reason.find(opening);
  const auto end = reason.rfind('\'');
  if (begin != std::string::npos && end != std::string::npos && end >= begin + opening.size()) {
    const auto first = begin + opening.size();
    reason.replace(begin + opening.size() - 1, end - first + 2, shown(reason.substr(first, end - first)));
  }
  return reason;
}

/// Builds the tree from the parser's events and rejects what the JSON grammar allows but a configuration must not hold.
class TreeBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(const std::string& name, const Position& position) : name_(name), position_(position) {}

  JsonNode take_root() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(std::int64_t{value}); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) reject_integer(std::to_string(value));
    return add(static_cast<std::int64_t>(value));
  }
  bool number_float(number_float_t value, const string_t& text) override {
    // The parser falls back to floating point for integers that it cannot hold.
    if (text.find_first_of(".eE") == string_t::npos) reject_integer(text);
    return add(value);
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // no JSON text has one
  bool key(string_t& name) override {
    if (!open_.back().keys.insert(name).second) {
      fail(place(child_pointer(open_.back().node.pointer, name)), "duplicate key; remove one of the two");
    }
    open_.back().key = std::move(name);
    return true;
  }
  bool start_object(std::size_t) override { return open(JsonNode::Object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(JsonNode::Array()); }
  bool end_array() override { return close(); }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    const std::string where = name_ + ":" + std::to_string(position_.token_line);
    if (error.id == 406) throw ConfigError(where + ": a number is too large for a 64-bit floating-point number");  // out_of_range.406
    throw JsonSyntaxError(where + ": not JSON: " + reason_of(error.what()));
  }

 private:
  struct Open {
    JsonNode node;
    std::string key;             // of the member being read, if the node is an object
    std::set<std::string> keys;  // of all its members so far
  };

  [[nodiscard]] JsonNode place(std::string pointer) const {
    JsonNode node;
    node.value = JsonNode::Object();
    node.file = name_;
    node.line = position_.token_line;
    node.pointer = std::move(pointer);
    return node;
  }

  [[nodiscard]] std::string next_pointer() const {
    if (open_.empty()) return {};
    const Open& parent = open_.back();
    if (const auto* array = std::get_if<JsonNode::Array>(&parent.node.value)) {
      return child_pointer(parent.node.pointer, std::to_string(array->size()));
    }
    return child_pointer(parent.node.pointer, parent.key);
  }

  [[noreturn]] void reject_integer(const std::string& text) {
    fail(place(next_pointer()), shown(text) + ": an integer must lie in the 64-bit range, -2^63 to 2^63 - 1");
  }

  template <class Value>
  [[nodiscard]] JsonNode make(Value value) {
    JsonNode node = place(next_pointer());
    if (node.pointer.size() > longest_pointer) {
      node.pointer.resize(longest_pointer);
      fail(node, "keys are too long or nested too deeply; shorten them");
    }
    if (++values_ > most_values) fail(node, fmt::format("more than {} values; no configuration is that large", most_values));
    node.value = std::move(value);
    return node;
  }

  template <class Value>
  bool open(Value value) {
    JsonNode node = make(std::move(value));
    if (open_.size() == most_depth) fail(node, fmt::format("nested deeper than {} levels; flatten it", most_depth));
    open_.push_back({std::move(node), {}, {}});
    return true;
  }

  bool close() {
    JsonNode node = std::move(open_.back().node);
    open_.pop_back();
    return attach(std::move(node));
  }

  template <class Value>
  bool add(Value value) {
    return attach(make(std::move(value)));
  }

  bool attach(JsonNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (auto* array = std::get_if<JsonNode::Array>(&open_.back().node.value)) {
      array->push_back(std::move(node));
    } else {
      std::get<JsonNode::Object>(open_.back().node.value).emplace_back(std::move(open_.back().key), std::move(node));
    }
    return true;
  }

  const std::string& name_;
  const Position& position_;
  JsonNode root_;
  std::vector<Open> open_;
  std::size_t values_ = 0;
};

[[noreturn]] void reject_file(const std::string& name, const std::string& reason) {
  throw ConfigError(name + ": cannot be read: " + reason);
}

[[noreturn]] void reject_size(const std::string& name) {
  throw ConfigError(fmt::format("{}: larger than {} MiB; no configuration is that large", name, most_text >> 20U));
}

/// The parser would take a NUL for the end of the text.
void reject_nul(std::string_view text, const std::string& name) {
  const auto at = text.find('\0');
  if (at == std::string_view::npos) return;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  throw JsonSyntaxError(fmt::format("{}:{}: not JSON: a NUL byte; is this a text file in UTF-8?", name, line));
}

std::string shown_value(const JsonNode& node) {
  struct Visitor {
    std::string operator()(std::nullptr_t) const { return "null"; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return json_number(value); }
    std::string operator()(const std::string& value) const { return shown(value); }
    std::string operator()(const JsonNode::Array&) const { return {}; }
    std::string operator()(const JsonNode::Object&) const { return {}; }
  };
  return std::visit(Visitor(), node.value);
}

}  // namespace

const JsonNode* JsonNode::find(std::string_view key) const {
  const auto* object = std::get_if<Object>(&value);
  if (!object) return nullptr;
  for (const auto& [name, member] : *object) {
    if (name == key) return &member;
  }
  return nullptr;
}

JsonNode* JsonNode::find(std::string_view key) { return const_cast<JsonNode*>(std::as_const(*this).find(key)); }

std::string child_pointer(const std::string& pointer, std::string_view key) {
  std::string result = pointer + "/";
  for (const char character : key) {
    if (character == '~') {
      result += "~0";
    } else if (character == '/') {
      result += "~1";
    } else {
      result += character;
    }
  }
  return result;
}

std::string place_of(const JsonNode& node) {
  std::string place = node.line > 0 ? node.file + ":" + std::to_string(node.line) : node.file;
  if (!node.pointer.empty()) place += ": " + node.pointer;
  return place;
}

std::string_view type_of(const JsonNode& node) {
  constexpr std::array<std::string_view, 7> names = {"null", "a boolean", "an integer", "a number", "a string", "an array", "an object"};
  return names[node.value.index()];
}

void fail(const JsonNode& where, const std::string& message) {
  const std::string value = shown_value(where);
  throw ConfigError(place_of(where) + ": " + (value.empty() ? "" : value + ": ") + message);
}

JsonNode parse_json_text(std::string_view text, const std::string& name) {
  if (text.size() > most_text) reject_size(name);
  reject_nul(text, name);
  Position position;
  TreeBuilder builder(name, position);
  const CountingIterator begin(text.data(), &position);
  const CountingIterator end(text.data() + text.size(), &position);
  constexpr bool whole_text = true, comments = true;
  nlohmann::json::sax_parse(begin, end, &builder, nlohmann::json::input_format_t::json, whole_text, comments);
  return builder.take_root();
}

std::string read_config_text(const std::filesystem::path& path) {
  const std::string name = path.string();
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) reject_file(name, "it is a directory; name a file");
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) reject_file(name, errno != 0 ? std::strerror(errno) : "it cannot be opened");
  std::string text;
  std::array<char, 1 << 14> block{};
  while (stream.read(block.data(), block.size()) || stream.gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(stream.gcount()));
    if (text.size() > most_text) reject_size(name);
  }
  if (stream.bad()) reject_file(name, "reading failed");
  return text;
}

JsonNode parse_json_file(const std::filesystem::path& path) { return parse_json_text(read_config_text(path), path.string()); }

}  // namespace fabricast::hw
