// The user's mistake in a configuration. Knows no file format.
#pragma once

#include <stdexcept>
#include <string>

namespace fabricast::hw {

/// One line: file, line, JSON pointer, value and what would be right. A check that knows only the key (degrees, say) throws with
/// `pointer` set, and the reader of the experiment adds file and line.
class ConfigError : public std::runtime_error {
 public:
  explicit ConfigError(const std::string& message, std::string pointer = {}) : std::runtime_error(message), pointer_(std::move(pointer)) {}
  [[nodiscard]] const std::string& pointer() const { return pointer_; }

 private:
  std::string pointer_;   // "/strategy/tensor"; empty where the message already names the place
};

}  // namespace fabricast::hw
