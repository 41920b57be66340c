#include "validation/strategy_config.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace fabricast::strategy_config_test {

using namespace fabricast;
using strategy::StrategySpec;
using validation::read_strategy;

namespace {

StrategySpec read(std::string_view text) { return read_strategy(hw::parse_json_text(text, "s.json")); }

std::string error_of(std::string_view text) {
  try {
    (void)read(text);
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("an empty strategy is one rank a replica, without overlap") {
  const StrategySpec strategy = read("{}");
  CHECK(strategy.tensor == 1);
  CHECK(strategy.pipeline == 1);
  CHECK(strategy.context == 1);
  CHECK(strategy.expert == 1);
  CHECK(!strategy.expert_tensor);
  CHECK(!strategy.data);
  CHECK(!strategy.expert_data);
  CHECK(strategy.axis_order.empty());
  CHECK(strategy.virtual_pipeline == 1);
  CHECK(strategy.expert_placement == strategy::ExpertPlacement::every_layer);
  CHECK(strategy.expert_input == strategy::ExpertInput::sequence_sharded);
  CHECK(strategy.overlap_chunks == 1);
  CHECK(strategy.algorithms.tensor == hw::CollectiveAlgorithm::automatic);
  CHECK(strategy.algorithms.expert == hw::CollectiveAlgorithm::automatic);
}

TEST_CASE("every key of a strategy is read") {
  const StrategySpec strategy = read(R"({"tensor": 2, "pipeline": 3, "context": 4, "expert": 5, "expert_tensor": 6, "data": 7,
    "expert_data": 8, "axis_order": ["pipeline", "tensor", "data", "context"], "virtual_pipeline": 9, "expert_placement": "striped",
    "expert_input": "replicated", "overlap": {"chunks": 10}, "algorithms": {"tensor": "two_level", "expert": "hierarchical"}})");
  CHECK(strategy.tensor == 2);
  CHECK(strategy.pipeline == 3);
  CHECK(strategy.context == 4);
  CHECK(strategy.expert == 5);
  CHECK(strategy.expert_tensor == 6);
  CHECK(strategy.data == 7);
  CHECK(strategy.expert_data == 8);
  CHECK(strategy.axis_order == std::vector{ir::Axis::pipeline, ir::Axis::tensor, ir::Axis::data, ir::Axis::context});
  CHECK(strategy.virtual_pipeline == 9);
  CHECK(strategy.expert_placement == strategy::ExpertPlacement::striped);
  CHECK(strategy.expert_input == strategy::ExpertInput::replicated);
  CHECK(strategy.overlap_chunks == 10);
  CHECK(strategy.algorithms.tensor == hw::CollectiveAlgorithm::two_level);
  CHECK(strategy.algorithms.expert == hw::CollectiveAlgorithm::hierarchical);
}

TEST_CASE("no overlap is one chunk") {
  CHECK(read(R"({"overlap": "none"})").overlap_chunks == 1);
  CHECK(read(R"({"overlap": {"chunks": 1}})").overlap_chunks == 1);
  CHECK(error_of(R"({"overlap": "some"})") == "s.json:1: /overlap: \"some\": must be \"none\" or an object, as in {\"chunks\": 4}");
  CHECK(contains(error_of(R"({"overlap": {"chunk": 4}})"), "/overlap: the key \"chunks\" is missing; was it meant by \"chunk\"?"));
  CHECK(contains(error_of(R"({"overlap": {"chunks": 0}})"), "out of range"));
  CHECK(contains(error_of(R"({"overlap": 4})"), "must be an object"));
}

TEST_CASE("an algorithm must be one that its axis has") {
  CHECK(contains(error_of(R"({"algorithms": {"tensor": "flat"}})"), "must be one of \"automatic\", \"ring\", \"two_level\""));
  CHECK(contains(error_of(R"({"algorithms": {"expert": "ring"}})"), "must be one of \"automatic\", \"flat\", \"hierarchical\""));
  CHECK(contains(error_of(R"({"algorithms": {"experts": "flat"}})"), "did you mean \"expert\"?"));
}

TEST_CASE("an axis order names every axis once") {
  CHECK(contains(error_of(R"({"axis_order": ["tensor", "data"]})"), "names 2 axes; name all of tensor, context, data, pipeline"));
  CHECK(contains(error_of(R"({"axis_order": ["tensor", "data", "tensor", "pipeline"]})"), "/axis_order/2: \"tensor\": occurs twice"));
  CHECK(contains(error_of(R"({"axis_order": ["tensor", "dta", "context", "pipeline"]})"), "did you mean \"data\"?"));
  CHECK(contains(error_of(R"({"axis_order": "tensor"})"), "must be an array"));
}

TEST_CASE("a degree is at least 1 and no cluster has more than 2^20 GPUs") {
  CHECK(contains(error_of(R"({"tensor": 0})"), "/tensor: 0: is out of range"));
  CHECK(contains(error_of(R"({"tensor": 1048577})"), "out of range"));
  CHECK(error_of(R"({"tensor": 1048576})") == "no error");
  CHECK(contains(error_of(R"({"tensr": 2})"), "unknown key \"tensr\"; did you mean \"tensor\"?"));
}

}  // namespace fabricast::strategy_config_test
