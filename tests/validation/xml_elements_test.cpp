#include "validation/xml_elements.hpp"

#include <doctest/doctest.h>

#include "hardware_models/config_error.hpp"

namespace fabricast::xml_elements_test {

using namespace fabricast;
using namespace fabricast::validation;

TEST_CASE("elements come in document order with attributes, lines and parents") {
  const auto elements = parse_xml("<?xml version=\"1.0\"?>\n<!-- <no/> -->\n<a x=\"1\" y = '&lt;2&amp;'>text\n <b/><c><d z=\">\"/></c></a>", "f");
  REQUIRE(elements.size() == 4);
  CHECK(elements[0].name == "a");
  CHECK(elements[0].line == 3);
  CHECK(elements[0].attributes.at("y") == "<2&");
  CHECK_FALSE(elements[0].parent);
  CHECK(elements[1].parent == 0u);
  CHECK(elements[3].name == "d");
  CHECK(elements[3].line == 4);
  CHECK(elements[3].parent == 2u);
  CHECK(elements[3].attributes.at("z") == ">");
}

TEST_CASE("what is no XML is refused with its line") {
  for (const char* text : {"", "plain", "<a>", "<a></b>", "</a>", "<a x></a>", "<a x=1></a>", "<a x=\"1></a>", "<a", "<!-- never ends", "<a><b></a>", "< a/>"}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)parse_xml(text, "f"), hw::ConfigError);
  }
  CHECK_THROWS_WITH_AS((void)parse_xml("<a>\n\n<b", "f"), "f:3: <b> is cut off", hw::ConfigError);
}

TEST_CASE("a hundred thousand nested elements are refused without exhausting the stack") {
  std::string deep;
  for (int i = 0; i < 100001; ++i) deep += "<a>";
  CHECK_THROWS_AS((void)parse_xml(deep, "f"), hw::ConfigError);
}

}  // namespace fabricast::xml_elements_test
