#include "hardware_models/json_node.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "tests/temporary_folder.hpp"

namespace fabricast::json_node_test {

using namespace fabricast::hw;

namespace {

std::string error_of(std::string_view text) {
  try {
    (void)parse_json_text(text, "x.json");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string repeated(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

std::string between(std::string_view open, const std::string& text, std::string_view close) {
  std::string result(open);
  result += text;
  result += close;
  return result;
}

/// n arrays, one in the other.
std::string nested(int depth) { return repeated("[", depth) + repeated("]", depth); }

template <class Value>
bool holds(const JsonNode* node, const Value& value) {
  return node && std::holds_alternative<Value>(node->value) && std::get<Value>(node->value) == value;
}

}  // namespace

TEST_CASE("every kind of value is read with its type") {
  const JsonNode root = parse_json_text(R"({"a": null, "b": true, "c": -7, "d": 1.5, "e": "text", "f": [1], "g": {}, "h": 1e3})", "x.json");
  CHECK(holds(root.find("a"), nullptr));
  CHECK(holds(root.find("b"), true));
  CHECK(holds(root.find("c"), std::int64_t{-7}));
  CHECK(holds(root.find("d"), 1.5));
  CHECK(holds(root.find("e"), std::string("text")));
  CHECK(std::get<JsonNode::Array>(root.find("f")->value).size() == 1);
  CHECK(std::get<JsonNode::Object>(root.find("g")->value).empty());
  CHECK(holds(root.find("h"), 1000.0));
  CHECK(root.find("z") == nullptr);
  CHECK(root.find("c")->find("a") == nullptr);
}

TEST_CASE("every value knows the line that it stands on") {
  const JsonNode root = parse_json_text(
      "\n{\n  \"a\": 1,\n  \"b\":\n    [\n 2\n,\n 3 ], // 4\n \"c\"\n:\n\"text\" /* \n\n */ , \"d\": true\n}\n", "x.json");
  CHECK(root.line == 2);
  CHECK(root.find("a")->line == 3);
  const JsonNode& array = *root.find("b");
  CHECK(array.line == 5);
  CHECK(std::get<JsonNode::Array>(array.value)[0].line == 6);
  CHECK(std::get<JsonNode::Array>(array.value)[1].line == 8);
  CHECK(root.find("c")->line == 11);
  CHECK(root.find("d")->line == 13);
  CHECK(parse_json_text("{\r\n\"a\":\r\n1}", "x").find("a")->line == 3);
}

TEST_CASE("every value knows its pointer, with special characters escaped") {
  const JsonNode root = parse_json_text(R"({"a": [0, {"b/c": 1, "d~e": 2}]})", "x.json");
  const JsonNode& inner = std::get<JsonNode::Array>(root.find("a")->value)[1];
  CHECK(root.pointer == "");
  CHECK(inner.pointer == "/a/1");
  CHECK(inner.find("b/c")->pointer == "/a/1/b~1c");
  CHECK(inner.find("d~e")->pointer == "/a/1/d~0e");
  CHECK(place_of(*inner.find("d~e")) == "x.json:1: /a/1/d~0e");
}

TEST_CASE("members keep the order of the file") {
  const JsonNode root = parse_json_text(R"({"z": 1, "a": 2, "m": 3})", "x.json");
  const auto& members = std::get<JsonNode::Object>(root.value);
  CHECK(members[0].first == "z");
  CHECK(members[1].first == "a");
  CHECK(members[2].first == "m");
}

TEST_CASE("a duplicate key is an error at its second place, also in an inner object") {
  CHECK(error_of("{\"a\": 1,\n\"b\": {},\n\"a\": 2}") == "x.json:3: /a: duplicate key; remove one of the two");
  CHECK(contains(error_of(R"({"a": [{"b": 1, "c": 2, "b": 1}]})"), "/a/0/b: duplicate key"));
  CHECK(contains(error_of(R"({"a": 1, "\u0061": 2})"), "duplicate key"));
  CHECK(error_of(R"({"a": {"b": 1}, "c": {"b": 1}})") == "no error");
}

TEST_CASE("64 levels are read and 65 are an error") {
  CHECK(error_of(nested(64)) == "no error");
  CHECK(contains(error_of(nested(65)), "nested deeper than 64 levels"));
}

TEST_CASE("a bomb of brackets is an error, not a crash") {
  for (const char* unit : {"[", "{\"a\":", "[[{\"k\":"}) {
    CAPTURE(unit);
    CHECK(contains(error_of(repeated(unit, 100000)), "nested deeper than 64 levels"));
  }
  CHECK(error_of(repeated("]", 100000)) != "no error");
}

TEST_CASE("an integer beyond 64 bits is an error instead of a rounded number") {
  CHECK(holds(parse_json_text("[9223372036854775807]", "x").find("0"), std::int64_t{0}) == false);
  CHECK(std::get<std::int64_t>(std::get<JsonNode::Array>(parse_json_text("[9223372036854775807]", "x").value)[0].value) == INT64_MAX);
  CHECK(std::get<std::int64_t>(std::get<JsonNode::Array>(parse_json_text("[-9223372036854775808]", "x").value)[0].value) == INT64_MIN);
  for (const char* text : {"{\"n\": 9223372036854775808}", "{\"n\": 18446744073709551616}", "{\"n\": -9223372036854775809}"}) {
    CAPTURE(text);
    CHECK(contains(error_of(text), "x.json:1: /n: "));
    CHECK(contains(error_of(text), "64-bit range"));
  }
}

TEST_CASE("a number beyond a double is an error") {
  CHECK(contains(error_of("[1e400]"), "x.json:1: a number is too large"));
  CHECK(contains(error_of("[-1e400]"), "too large"));
  CHECK(error_of("[1e-400]") == "no error");
}

TEST_CASE("what is no JSON is an error that names the line") {
  CHECK(contains(error_of("{\"a\": 1,\n \"b\" 2}"), "x.json:2: not JSON: "));
  CHECK(contains(error_of("{\"a\": 1}\n\n{}"), "x.json:3: not JSON: "));
  CHECK(contains(error_of("{\"a\": 1,\n}"), "x.json:2: "));
  CHECK(contains(error_of("[1,\n2,\n\n\n"), "x.json:2: "));
  CHECK(contains(error_of("[1,\n2,\n \n\t"), "x.json:2: "));
  for (const char* text : {"", " ", "{", "[1", "{\"a\"", "nul", "NaN", "[Infinity]", "'a'", "{a: 1}",
                           "\"a", "[1 2]", "[01]", "[1.]", "// only", "/* open"}) {
    CAPTURE(text);
    CHECK(contains(error_of(text), "not JSON"));
  }
}

TEST_CASE("invalid UTF-8 and control characters are errors of one printable line") {
  const std::string texts[] = {"[\"\xFF\"]", "[\"\xC0\x80\"]", "[\"a\x01\"]", "[\"a\nb\"]", std::string("[1]\0", 4), "\xED\xA0\x80",
                               "[\"\\ud800\"]"};
  for (const std::string& text : texts) {
    const std::string message = error_of(text);
    CAPTURE(message);
    CHECK(contains(message, "not JSON"));
    for (const char character : message) CHECK(static_cast<unsigned char>(character) >= 0x20);
    CHECK(message == one_line(message));
  }
}

TEST_CASE("a long token is cut in the message") {
  CHECK(error_of(between("[\"", repeated("a", 100000), "")).size() < 400);
  CHECK(error_of(between("[", repeated("1", 100000), "]")).size() < 400);
}

TEST_CASE("texts, values and pointers beyond any configuration are errors") {
  CHECK(contains(error_of(std::string((4 << 20) + 1, ' ')), "larger than 4 MiB"));
  CHECK(contains(error_of(between("[", repeated("0,", 140000), "0]")), "more than 131072 values"));
  CHECK(contains(error_of(between("{\"", std::string(2000, 'k'), "\": 1}")), "keys are too long"));
}

TEST_CASE("a shown error escapes names with line breaks") {
  const JsonNode root = parse_json_text("{\"a\\nb\": 1}", "odd\nname");
  CHECK_THROWS_WITH_AS(fail(*root.find("a\nb"), "wrong"), "odd\\nname:1: /a\\nb: 1: wrong", ConfigError);
}

TEST_CASE("fail shows scalars and leaves out objects and arrays") {
  const JsonNode root = parse_json_text(R"({"t": "x", "n": 1.5, "o": {}, "a": [], "z": null, "b": false})", "f");
  CHECK_THROWS_WITH(fail(*root.find("t"), "m"), "f:1: /t: \"x\": m");
  CHECK_THROWS_WITH(fail(*root.find("n"), "m"), "f:1: /n: 1.5: m");
  CHECK_THROWS_WITH(fail(*root.find("o"), "m"), "f:1: /o: m");
  CHECK_THROWS_WITH(fail(*root.find("a"), "m"), "f:1: /a: m");
  CHECK_THROWS_WITH(fail(*root.find("z"), "m"), "f:1: /z: null: m");
  CHECK_THROWS_WITH(fail(*root.find("b"), "m"), "f:1: /b: false: m");
  CHECK_THROWS_WITH(fail(root, "m"), "f:1: m");
}

TEST_CASE("a file that cannot be read is an error that says why") {
  const fabricast::tests::TemporaryFolder temporary("json_node");
  const std::filesystem::path& folder = temporary.path();
  CHECK_THROWS_WITH_AS((void)parse_json_file(folder),
                       (folder.string() + ": cannot be read: it is a directory; name a file").c_str(), ConfigError);
  const std::string missing = (folder / "missing.json").string();
  CHECK_THROWS_WITH_AS((void)parse_json_file(missing), (missing + ": cannot be read: No such file or directory").c_str(), ConfigError);
  const std::filesystem::path good = temporary.write("good.json", "{\"a\": 1}");
  CHECK(parse_json_file(good).find("a")->file == good.string());
}

TEST_CASE("an endless file is an error, not an endless wait") {
  if (!std::filesystem::exists("/dev/zero")) return;
  CHECK_THROWS_WITH_AS((void)parse_json_file("/dev/zero"), "/dev/zero: larger than 4 MiB; no configuration is that large", ConfigError);
}

}  // namespace fabricast::json_node_test
