#include "validation/text.hpp"

#include <doctest/doctest.h>

namespace fabricast::text_test {

using namespace fabricast;
using namespace fabricast::validation;

TEST_CASE("times are shown with four digits in the unit that suits") {
  CHECK(show(Seconds(0)) == "0 s");
  CHECK(show(Seconds(1.5)) == "1.500 s");
  CHECK(show(Seconds(0.4123)) == "412.3 ms");
  CHECK(show(Seconds(3.072e-3)) == "3.072 ms");
  CHECK(show(Seconds(25e-6)) == "25.00 us");
  CHECK(show(Seconds(0.99996)) == "1000 ms");
  CHECK(show(Seconds(-2e-3)) == "-2.000 ms");
}

TEST_CASE("memory counts in powers of two and traffic in powers of ten") {
  CHECK(show_memory(Bytes(std::int64_t{80} << 30)) == "80.00 GiB");
  CHECK(show_memory(Bytes(80'000'000'000)) == "74.51 GiB");
  CHECK(show_traffic(153.6e6) == "153.6 MB");
  CHECK(show_traffic(0) == "0 B");
  CHECK(show(BytesPerSecond(50e9)) == "50.00 GB/s");
  CHECK(show(FlopPerSecond(989.4e12)) == "989.4 TFLOP/s");
}

TEST_CASE("counts have separators, and shares that are not zero do not look like it") {
  CHECK(show_count(1280000) == "1,280,000");
  CHECK(show_count(128) == "128");
  CHECK(show_count(1000) == "1,000");
  CHECK(show_count(-1234.4) == "-1,234");
  CHECK(show_count(-0.2) == "0");
  CHECK(show_share(0.314) == "31.4 %");
  CHECK(show_share(0.0001) == "<0.1 %");
  CHECK(show_share(0) == "0.0 %");
}

TEST_CASE("a table's columns are as wide as their widest cell and no line ends in blanks") {
  Table table({{"op", Table::Align::left}, {"busy"}});
  table.add({"attention", "1 s"});
  table.add_rule();
  table.add({"all"});
  CHECK(table.text() ==
        "  op         busy\n"
        "  attention   1 s\n"
        "  ---------------\n"
        "  all\n");
}

TEST_CASE("wrapped text keeps every word and no line exceeds the page") {
  std::string text;
  for (int i = 0; i < 200; ++i) text += (i > 0 ? " " : "") + std::string("word") + std::to_string(i * i);
  const std::string wrapped = wrap(text, 4);
  std::string unwrapped, line;
  for (std::size_t begin = 0; begin < wrapped.size();) {
    const std::size_t end = wrapped.find('\n', begin);
    line = wrapped.substr(begin, end - begin);
    CHECK(line.size() <= page_width);
    CHECK(line.substr(0, 4) == "    ");
    unwrapped += (begin > 0 ? " " : "") + line.substr(4);
    begin = end + 1;
  }
  CHECK(unwrapped == text);
}

TEST_CASE("text is stressed only where colour is on") {
  CHECK(TextStyle{false}.strong("Links") == "Links");
  CHECK(TextStyle{true}.strong("Links") == "\x1b[1mLinks\x1b[0m");
}

}  // namespace fabricast::text_test
