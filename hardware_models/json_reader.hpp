// Strict reading of configuration files: every value knows its file and line; unknown, missing and duplicate keys, wrong types and values
// out of range are ConfigErrors of one line. Wraps nlohmann/json, which appears in json_reader.cpp only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

/// A JSON value with its place. Objects keep the order of the file.
struct JsonNode {
  using Object = std::vector<std::pair<std::string, JsonNode>>;
  using Array = std::vector<JsonNode>;
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value = nullptr;
  std::string file;      // as the user named it; "--set" for command-line values
  int line = 0;
  std::string pointer;   // "/cluster/nodes" within its own file

  [[nodiscard]] const JsonNode* find(std::string_view key) const;  // null if this is no object or has no such key
  [[nodiscard]] JsonNode* find(std::string_view key);
};

/// Parses a file (comments allowed; nesting deeper than 64, duplicate keys, numbers that overflow, trailing text are errors).
[[nodiscard]] JsonNode parse_json_file(const std::filesystem::path& path);
[[nodiscard]] JsonNode parse_json_text(std::string_view text, const std::string& name);

/// Throws ConfigError "file:line: /pointer: message".
[[noreturn]] void fail(const JsonNode& where, const std::string& message);

/// The candidate nearest to `word` by edit distance, if near enough to be what was meant.
[[nodiscard]] std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

struct IntegerRange { std::int64_t least = 1, most = std::int64_t{1} << 40; };

/// Reads the keys of one object; finish() rejects those that nobody asked for ("$schema" and "comment" are always allowed).
/// Required keys throw if missing; the optional_* forms give nothing.
class ObjectReader {
 public:
  explicit ObjectReader(const JsonNode& object);

  [[nodiscard]] std::int64_t integer(std::string_view key, IntegerRange range = {});
  [[nodiscard]] double number(std::string_view key, double least, double most);
  [[nodiscard]] bool boolean(std::string_view key);
  [[nodiscard]] std::string text(std::string_view key);
  [[nodiscard]] Bytes bytes(std::string_view key);                       // "80 GiB"
  [[nodiscard]] Seconds duration(std::string_view key);                  // "1.5 us"
  [[nodiscard]] BytesPerSecond bandwidth(std::string_view key);          // "450 GB/s", "400 Gbit/s"
  [[nodiscard]] FlopPerSecond flop_rate(std::string_view key);           // "989.4 TFLOP/s"
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
    return words[choice_index(child(key), names(words))].second;
  }
  template <class Enum>
  [[nodiscard]] std::optional<Enum> optional_choice(std::string_view key, const std::vector<std::pair<std::string, Enum>>& words) {
    const JsonNode* node = optional_child(key);
    if (!node) return std::nullopt;
    return words[choice_index(*node, names(words))].second;
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
  static std::size_t choice_index(const JsonNode& node, const std::vector<std::string>& words);

  const JsonNode& object_;
  std::vector<std::string> known_;   // keys asked for so far
};

}  // namespace fabricast::hw
