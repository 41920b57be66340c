#include "hardware_models/json_text.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <limits>
#include <stdexcept>
#include <string>

namespace fabricast::hw::json_text_test {

TEST_CASE("json_quote escapes what JSON forbids in a string and leaves the rest alone") {
  CHECK(json_quote("layer 3 / dispatch") == "\"layer 3 / dispatch\"");
  CHECK(json_quote("a\"b\\c") == R"("a\"b\\c")");
  CHECK(json_quote("\n\r\t") == R"("\n\r\t")");
  CHECK(json_quote(std::string_view("\0\x1f", 2)) == R"("\u0000\u001f")");
  CHECK(json_quote("µs") == "\"µs\"");
  CHECK(json_quote("") == "\"\"");
}

TEST_CASE("json_number is the shortest text that reads back as the same double") {
  CHECK(json_number(0.1) == "0.1");
  CHECK(json_number(3.0) == "3");
  CHECK(json_number(1e300) == "1e+300");
  for (const double value :
       {1.0 / 3.0, 6.02214076e23, -2.5e-9, std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()}) {
    CHECK(std::strtod(json_number(value).c_str(), nullptr) == value);
  }
}

TEST_CASE("json_number refuses what JSON cannot say") {
  CHECK_THROWS_AS((void)json_number(std::numeric_limits<double>::infinity()), std::invalid_argument);
  CHECK_THROWS_AS((void)json_number(std::numeric_limits<double>::quiet_NaN()), std::invalid_argument);
}

}  // namespace fabricast::hw::json_text_test
