// JSON values that know their file and line. Knows no meaning of keys: json_reader.hpp gives them one. Wraps nlohmann/json, which
// appears in json_node.cpp only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "hardware_models/config_error.hpp"

namespace fabricast::hw {

/// A JSON value with its place. Objects keep the order of the file.
struct JsonNode {
  using Object = std::vector<std::pair<std::string, JsonNode>>;
  using Array = std::vector<JsonNode>;
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> value = nullptr;
  std::string file;      // as the user named it; "--set path=value" for command-line values
  int line = 0;          // where the value (of an object or array: its opening bracket) stands; 0 for command-line values
  std::string pointer;   // "/cluster/nodes" within its own file

  [[nodiscard]] const JsonNode* find(std::string_view key) const;  // null if this is no object or has no such key
  [[nodiscard]] JsonNode* find(std::string_view key);
};

/// The text is no JSON at all, as opposed to JSON that breaks a rule of ours.
class JsonSyntaxError : public ConfigError {
 public:
  using ConfigError::ConfigError;
};

/// Comments are allowed. Errors: nesting deeper than 64, duplicate keys, integers beyond 64 bits, numbers beyond a double, invalid UTF-8,
/// trailing text, more than 4 MiB or 131072 values (no configuration is that large, and every value carries its place).
[[nodiscard]] JsonNode parse_json_text(std::string_view text, const std::string& name);
[[nodiscard]] JsonNode parse_json_file(const std::filesystem::path& path);

/// The whole file. Throws ConfigError for a missing, unreadable or too large file or a directory.
[[nodiscard]] std::string read_config_text(const std::filesystem::path& path);

/// "file:line: /pointer", as messages begin.
[[nodiscard]] std::string place_of(const JsonNode& node);

/// "a string", "an object", …: what the value is, for messages.
[[nodiscard]] std::string_view type_of(const JsonNode& node);

/// pointer + "/" + key, with ~ and / in the key escaped as RFC 6901 asks.
[[nodiscard]] std::string child_pointer(const std::string& pointer, std::string_view key);

/// Throws ConfigError "file:line: /pointer: value: message"; the value is shown where it is no object or array.
[[noreturn]] void fail(const JsonNode& where, const std::string& message);

}  // namespace fabricast::hw
