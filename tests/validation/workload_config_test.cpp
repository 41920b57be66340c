#include "validation/workload_config.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

namespace fabricast::workload_config_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

template <class Action>
std::string error_of(Action action) {
  try {
    (void)action();
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

strategy::WorkloadSpec workload(std::string_view text) { return read_workload(hw::parse_json_text(text, "w.json")); }
strategy::RoutingSpec routing(std::string_view text) { return read_routing(hw::parse_json_text(text, "r.json"), "folder/e.json"); }

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a workload is read, and what it leaves out has its default") {
  const auto full = workload(R"({"phase": "forward", "sequences": 128, "sequence_length": 10000,
                                 "micro_batches": 4, "head_on_all_tokens": false})");
  CHECK(full.phase == strategy::Phase::forward);
  CHECK(full.sequences == 128);
  CHECK(full.sequence_length == 10000);
  CHECK(full.micro_batches == 4);
  CHECK(!full.head_on_all_tokens);
  const auto least = workload(R"({"sequences": 1, "sequence_length": 1})");
  CHECK(least.phase == strategy::Phase::forward);
  CHECK(least.micro_batches == 1);
  CHECK(least.head_on_all_tokens);
}

TEST_CASE("a workload of nothing is an error") {
  CHECK(contains(error_of([] { return workload(R"({"sequences": 0, "sequence_length": 1})"); }), "/sequences: 0: is out of range"));
  CHECK(contains(error_of([] { return workload(R"({"sequences": 1})"); }), "the key \"sequence_length\" is missing"));
  CHECK(contains(error_of([] { return workload(R"({"sequences": 1, "sequence_length": 1, "phase": "train"})"); }),
                 "must be one of \"forward\""));
}

TEST_CASE("each distribution takes the keys that it uses and no others") {
  CHECK(routing(R"({"distribution": "uniform"})").seed == 1);
  CHECK(routing(R"({"distribution": "uniform", "seed": 9223372036854775807})").seed == 9223372036854775807U);
  CHECK(routing(R"({"distribution": "zipf"})").exponent == 1.0);
  CHECK(routing(R"({"distribution": "zipf", "exponent": 0.5})").exponent == 0.5);
  CHECK(routing(R"({"distribution": "file", "file": "../counts.csv"})").file == "counts.csv");
  CHECK(routing(R"({"distribution": "file", "file": "/data/counts.csv"})").file == "/data/counts.csv");
  CHECK(contains(error_of([] { return routing(R"({"distribution": "uniform", "exponent": 1})"); }), "has no effect here"));
  CHECK(contains(error_of([] { return routing(R"({"distribution": "zipf", "file": "x"})"); }), "has no effect here"));
  CHECK(contains(error_of([] { return routing(R"({"distribution": "file"})"); }), "the key \"file\" is missing"));
  CHECK(contains(error_of([] { return routing(R"({"distribution": "file", "file": ""})"); }), "names no file"));
}

TEST_CASE("a seed is no negative number and an exponent lies in its range") {
  CHECK(contains(error_of([] { return routing(R"({"distribution": "uniform", "seed": -1})"); }), "/seed: -1: is out of range"));
  CHECK(contains(error_of([] { return routing(R"({"distribution": "uniform", "seed": 1.5})"); }), "must be an integer"));
  CHECK(contains(error_of([] { return routing(R"({"distribution": "zipf", "exponent": -0.1})"); }), "out of range"));
  CHECK(contains(error_of([] { return routing(R"({"distribution": "zipf", "exponent": 11})"); }), "out of range"));
  CHECK(contains(error_of([] { return routing(R"({"distribution": "zip"})"); }), "did you mean \"zipf\"?"));
}

}  // namespace fabricast::workload_config_test
