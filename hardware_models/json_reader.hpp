// Strict reading of configuration values: wrong types, values out of range, missing and unknown keys are ConfigErrors of one line with
// file, line, JSON pointer, value and remedy. Knows no configuration: the readers of each kind say which keys there are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "hardware_models/edit_distance.hpp"
#include "hardware_models/json_node.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

struct IntegerRange { std::int64_t least = 1, most = std::int64_t{1} << 40; };

/// A single value of the given form, or ConfigError.
[[nodiscard]] std::int64_t as_integer(const JsonNode& node, IntegerRange range = {});
[[nodiscard]] double as_number(const JsonNode& node, double least, double most);
[[nodiscard]] bool as_boolean(const JsonNode& node);
[[nodiscard]] const std::string& as_text(const JsonNode& node);
[[nodiscard]] const JsonNode::Array& as_array(const JsonNode& node);
[[nodiscard]] const JsonNode::Object& as_object(const JsonNode& node);
[[nodiscard]] Bytes as_bytes(const JsonNode& node);               // "80 GiB"
[[nodiscard]] Seconds as_duration(const JsonNode& node);          // "1.5 us"; at most 1 s: configurations hold latencies
[[nodiscard]] BytesPerSecond as_bandwidth(const JsonNode& node);  // "450 GB/s", "400 Gbit/s"; 1 MB/s to 1e18 B/s
[[nodiscard]] FlopPerSecond as_flop_rate(const JsonNode& node);   // "989.4 TFLOP/s"; 0.001 GFLOP/s (many ranks on a core) to 1e21 FLOP/s

/// Index of the node's text among `words`.
[[nodiscard]] std::size_t as_choice(const JsonNode& node, const std::vector<std::string>& words);

/// Reads the keys of one object; finish() rejects those that nobody asked for ("$schema", "comment" and "source" are always allowed).
/// Required keys throw if missing; the optional_* forms give nothing.
class ObjectReader {
 public:
  explicit ObjectReader(const JsonNode& object);

  [[nodiscard]] std::int64_t integer(std::string_view key, IntegerRange range = {}) { return as_integer(child(key), range); }
  [[nodiscard]] double number(std::string_view key, double least, double most) { return as_number(child(key), least, most); }
  [[nodiscard]] bool boolean(std::string_view key) { return as_boolean(child(key)); }
  [[nodiscard]] std::string text(std::string_view key) { return as_text(child(key)); }
  [[nodiscard]] Bytes bytes(std::string_view key) { return as_bytes(child(key)); }
  [[nodiscard]] Seconds duration(std::string_view key) { return as_duration(child(key)); }
  [[nodiscard]] BytesPerSecond bandwidth(std::string_view key) { return as_bandwidth(child(key)); }
  [[nodiscard]] FlopPerSecond flop_rate(std::string_view key) { return as_flop_rate(child(key)); }
  [[nodiscard]] const JsonNode& child(std::string_view key);             // any value

  [[nodiscard]] std::optional<std::int64_t> optional_integer(std::string_view key, IntegerRange range = {});
  [[nodiscard]] std::optional<double> optional_number(std::string_view key, double least, double most);
  [[nodiscard]] std::optional<bool> optional_boolean(std::string_view key);
  [[nodiscard]] std::optional<std::string> optional_text(std::string_view key);
  [[nodiscard]] std::optional<Bytes> optional_bytes(std::string_view key);
  [[nodiscard]] std::optional<FlopPerSecond> optional_flop_rate(std::string_view key);
  [[nodiscard]] const JsonNode* optional_child(std::string_view key);

  /// One of a closed set of words.
  template <class Enum>
  [[nodiscard]] Enum choice(std::string_view key, const std::vector<std::pair<std::string, Enum>>& words) {
    return words[as_choice(child(key), names(words))].second;
  }
  template <class Enum>
  [[nodiscard]] std::optional<Enum> optional_choice(std::string_view key, const std::vector<std::pair<std::string, Enum>>& words) {
    const JsonNode* node = optional_child(key);
    if (!node) return std::nullopt;
    return words[as_choice(*node, names(words))].second;
  }

  [[nodiscard]] const JsonNode& node() const { return object_; }
  void finish() const;

 private:
  template <class Enum>
  static std::vector<std::string> names(const std::vector<std::pair<std::string, Enum>>& words) {
    std::vector<std::string> result;
    for (const auto& word : words) result.push_back(word.first);
    return result;
  }
  [[nodiscard]] bool knows(std::string_view key) const;

  const JsonNode& object_;
  std::vector<std::string> known_;   // keys asked for so far
};

}  // namespace fabricast::hw
