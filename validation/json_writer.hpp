// Writes JSON in the order it is told to, indented or in one line. Knows no document; json_text.hpp knows how strings and numbers look.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fabricast::validation {

/// Every open_* needs its close(). Inside an array the forms without a name are used.
class JsonWriter {
 public:
  enum class Layout : std::uint8_t { indented, one_line };
  explicit JsonWriter(Layout layout = Layout::indented) : layout_(layout) {}

  void open_object(std::string_view name = {});
  void open_array(std::string_view name = {});
  void close();

  void field(std::string_view name, std::string_view value);
  void field(std::string_view name, const char* value) { field(name, std::string_view(value)); }
  void field(std::string_view name, const std::string& value) { field(name, std::string_view(value)); }
  void field(std::string_view name, bool value);
  void field(std::string_view name, std::int64_t value);
  void field(std::string_view name, std::int32_t value) { field(name, std::int64_t{value}); }
  void field(std::string_view name, double value);
  void element(std::string_view value);
  void element(std::int64_t value);
  void element(double value);
  /// A value that is JSON already.
  void field_json(std::string_view name, std::string_view json);

  /// The document, ending in a newline: the only one where the layout is one line.
  [[nodiscard]] std::string text() &&;

 private:
  void break_line();
  void item(std::string_view name);   // comma, line break, indentation and the name

  struct Level { char closing; bool empty; };
  Layout layout_;
  std::string out_;
  std::vector<Level> levels_;
};

}  // namespace fabricast::validation
