#include "hardware_models/json_reader.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace fabricast::json_reader_test {

using namespace fabricast;
using namespace fabricast::hw;

namespace {

JsonNode object(std::string_view text) { return parse_json_text(text, "x.json"); }

template <class Action>
std::string error_of(Action action) {
  try {
    (void)action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

enum class Colour { red, green };
const std::vector<std::pair<std::string, Colour>> colours = {{"red", Colour::red}, {"green", Colour::green}};

}  // namespace

TEST_CASE("every form is read as what it is") {
  const JsonNode node = object(R"({"i": 5, "n": 0.5, "w": 2, "b": true, "t": "x", "s": "80 GiB", "d": "1.5 us", "r": "400 Gbit/s",
                                   "f": "989.4 TFLOP/s", "c": "green"})");
  ObjectReader reader(node);
  CHECK(reader.integer("i") == 5);
  CHECK(reader.number("n", 0, 1) == 0.5);
  CHECK(reader.number("w", 0, 2) == 2.0);
  CHECK(reader.boolean("b"));
  CHECK(reader.text("t") == "x");
  CHECK(reader.bytes("s") == Bytes(std::int64_t{80} << 30));
  CHECK(reader.duration("d") == Seconds(1.5e-6));
  CHECK(reader.bandwidth("r") == BytesPerSecond(50e9));
  CHECK(reader.flop_rate("f") == FlopPerSecond(989.4e12));
  CHECK(reader.choice("c", colours) == Colour::green);
  CHECK_NOTHROW(reader.finish());
}

TEST_CASE("optional forms give nothing for a missing key and check a present one") {
  const JsonNode node = object(R"({"i": 5, "bad": "x"})");
  ObjectReader reader(node);
  CHECK(reader.optional_integer("i") == 5);
  CHECK(reader.optional_integer("j") == std::nullopt);
  CHECK(reader.optional_number("k", 0, 1) == std::nullopt);
  CHECK(reader.optional_boolean("l") == std::nullopt);
  CHECK(reader.optional_text("m") == std::nullopt);
  CHECK(reader.optional_bytes("n") == std::nullopt);
  CHECK(reader.optional_flop_rate("o") == std::nullopt);
  CHECK(reader.optional_child("p") == nullptr);
  CHECK(reader.optional_choice("q", colours) == std::nullopt);
  CHECK(contains(error_of([&] { return reader.optional_integer("bad"); }), "x.json:1: /bad: \"x\": must be an integer"));
}

TEST_CASE("an unknown key is an error with its place and the nearest key") {
  const JsonNode node = object("{\"nodes\": 1,\n\"spinse\": 2}");
  ObjectReader reader(node);
  (void)reader.integer("nodes");
  (void)reader.optional_integer("spines");
  CHECK(error_of([&] { reader.finish(); return 0; }) == "x.json:2: /spinse: unknown key \"spinse\"; did you mean \"spines\"?");
}

TEST_CASE("an unknown key unlike all others lists those that are known") {
  const JsonNode node = object("{\"banana\": 1}");
  ObjectReader reader(node);
  (void)reader.optional_integer("nodes");
  (void)reader.optional_integer("spines");
  CHECK(contains(error_of([&] { reader.finish(); return 0; }), "known keys: \"nodes\", \"spines\""));
}

TEST_CASE("annotations are allowed anywhere but must be strings") {
  const JsonNode node = object(R"({"$schema": "s", "comment": "c", "source": "d"})");
  CHECK_NOTHROW(ObjectReader(node).finish());
  const JsonNode bad = object(R"({"source": 3})");
  CHECK(contains(error_of([&] { ObjectReader(bad).finish(); return 0; }), "x.json:1: /source: 3: must be a string"));
}

TEST_CASE("a missing key names the object, its line and a key that may have been meant") {
  const JsonNode node = object("\n{\"o\":\n {\"nodez\": 1}}");
  ObjectReader reader(*node.find("o"));
  CHECK(error_of([&] { return reader.integer("nodes"); }) == "x.json:3: /o: the key \"nodes\" is missing; was it meant by \"nodez\"?");
  CHECK(error_of([&] { return reader.integer("gpu"); }) == "x.json:3: /o: the key \"gpu\" is missing; add it");
}

TEST_CASE("an integer must be one and lie in its range") {
  const JsonNode node = object(R"({"a": 0, "b": 11, "c": 1.0, "d": "16", "e": null, "f": 5})");
  const auto read = [&](const char* key) { return error_of([&] { return ObjectReader(node).integer(key, {1, 10}); }); };
  CHECK(read("a") == "x.json:1: /a: 0: is out of range; it must be an integer from 1 to 10");
  CHECK(read("b") == "x.json:1: /b: 11: is out of range; it must be an integer from 1 to 10");
  CHECK(contains(read("c"), "must be an integer from 1 to 10, but is a number; write it without a fraction or an exponent"));
  CHECK(read("d") == "x.json:1: /d: \"16\": must be an integer from 1 to 10, but is a string; write 16 without quotes");
  CHECK(contains(read("e"), "but is null"));
  CHECK(read("f") == "no error");
}

TEST_CASE("a number's ends belong to its range") {
  const JsonNode node = object(R"({"a": 1, "b": 2.0, "c": 0.999, "d": 2.001})");
  const auto read = [&](const char* key) { return error_of([&] { return ObjectReader(node).number(key, 1, 2); }); };
  CHECK(read("a") == "no error");
  CHECK(read("b") == "no error");
  CHECK(contains(read("c"), "must be a number from 1 to 2"));
  CHECK(contains(read("d"), "must be a number from 1 to 2"));
}

TEST_CASE("a rate of many ranks on one core is read") {
  const JsonNode node = object(R"({"f": "0.2 GFLOP/s"})");
  ObjectReader reader(node);
  CHECK(reader.flop_rate("f") == FlopPerSecond(2e8));
}

TEST_CASE("a quantity needs quotes and a unit, and a rate or time that no machine has is an error") {
  const JsonNode node = object(R"({"a": 80, "b": "80", "c": "80 Gib", "d": "0 GB/s",
                                   "e": "2 s", "f": "1 FLOP/s", "g": "1 s", "h": "0 s"})");
  ObjectReader reader(node);
  CHECK(error_of([&] { return reader.bytes("a"); }) ==
        "x.json:1: /a: 80: must be a quantity with its unit in quotes, but is an integer; write it as in \"80 GiB\"");
  CHECK(contains(error_of([&] { return reader.bytes("b"); }), "x.json:1: /b: \"80\": has no unit"));
  CHECK(contains(error_of([&] { return reader.bytes("c"); }), "did you mean \"GiB\"?"));
  CHECK(contains(error_of([&] { return reader.bandwidth("d"); }), "out of range"));
  CHECK(contains(error_of([&] { return reader.duration("e"); }), "out of range"));
  CHECK(contains(error_of([&] { return reader.flop_rate("f"); }), "out of range"));
  CHECK(reader.duration("g") == Seconds(1));
  CHECK(reader.duration("h") == Seconds(0));
}

TEST_CASE("a word outside the closed set lists the set and the nearest word") {
  const JsonNode node = object(R"({"a": "gren", "b": 1})");
  ObjectReader reader(node);
  CHECK(error_of([&] { return static_cast<int>(reader.choice("a", colours)); }) ==
        "x.json:1: /a: \"gren\": must be one of \"red\", \"green\"; did you mean \"green\"?");
  CHECK(contains(error_of([&] { return static_cast<int>(reader.choice("b", colours)); }),
                 "must be one of \"red\", \"green\", but is an integer"));
}

TEST_CASE("a reader of anything but an object is an error") {
  const JsonNode node = object("[1]");
  CHECK(error_of([&] { return ObjectReader(node).integer("a"); }) == "x.json:1: must be an object, but is an array");
}

}  // namespace fabricast::json_reader_test
