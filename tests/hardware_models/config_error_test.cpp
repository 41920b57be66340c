#include "hardware_models/config_error.hpp"

#include <doctest/doctest.h>

#include <string>

namespace fabricast::config_error_test {

using namespace fabricast::hw;

TEST_CASE("an error's message is one line whatever the text holds") {
  CHECK(std::string(ConfigError("a\nb\r\tc").what()) == "a\\nb\\r\\tc");
  CHECK(one_line(std::string("\0\x1b[31m\x7f", 7)) == "\\x00\\x1b[31m\\x7f");
  CHECK(one_line("\xC2\x85 next line, \xE2\x80\xA8 line separator") == "\\xc2\\x85 next line, \\xe2\\x80\\xa8 line separator");
}

TEST_CASE("bytes that are no UTF-8 are escaped and well-formed letters are kept") {
  CHECK(one_line("Größe · 模型") == "Größe · 模型");
  CHECK(one_line("\xFF\xC3(\xE2\x82") == "\\xff\\xc3(\\xe2\\x82");
}

TEST_CASE("a shown value is quoted, escaped and cut at a character") {
  CHECK(shown("a\"b\\c\n") == "\"a\\\"b\\\\c\\n\"");
  CHECK(shown("") == "\"\"");
  CHECK(shown("abcdef", 3) == "\"abc\"... (6 bytes)");
  CHECK(shown("aöb", 2) == "\"aö\"... (4 bytes)");
  CHECK(shown("abc", 3) == "\"abc\"");
}

}  // namespace fabricast::config_error_test
