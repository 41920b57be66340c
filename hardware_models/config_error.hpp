// The user's mistake in a configuration, and how text from outside is shown in one line. Knows no file format.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace fabricast::hw {

/// One line, whatever `text` holds: control characters, line separators and bytes that are no UTF-8 appear as escapes.
[[nodiscard]] std::string one_line(std::string_view text);

/// The same in double quotes, cut to about `limit` bytes: a value echoed in a message.
[[nodiscard]] std::string shown(std::string_view text, std::size_t limit = 60);

/// One line: file, line, JSON pointer, value and what would be right. A check that knows only the key (degrees, say) throws with
/// `pointer` set, and the reader of the experiment adds file and line.
class ConfigError : public std::runtime_error {
 public:
  explicit ConfigError(const std::string& message, std::string pointer = {})
      : std::runtime_error(one_line(message)), pointer_(std::move(pointer)) {}
  [[nodiscard]] const std::string& pointer() const { return pointer_; }

 private:
  std::string pointer_;   // "/strategy/tensor"; empty where the message already names the place
};

}  // namespace fabricast::hw
