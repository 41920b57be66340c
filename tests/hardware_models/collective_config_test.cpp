#include "hardware_models/collective_config.hpp"

#include <doctest/doctest.h>

#include <string>

#include "hardware_models/config_error.hpp"

namespace fabricast::collective_config_test {

using namespace fabricast;
using namespace fabricast::hw;

namespace {

JsonNode shipped(const std::string& name) {
  return parse_json_file(std::string(FABRICAST_SOURCE_DIR) + "/configs/calibration/" + name + ".json");
}

std::string complaint(const JsonNode& profile) {
  try {
    (void)read_collectives(profile);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the shipped profiles name every kind") {
  for (const char* name : {"nccl_h100", "nccl_a100"}) {
    const CollectiveSpec spec = read_collectives(shipped(name));
    CHECK(spec.base_latency.size() == 6);
    CHECK(spec.nvlink_efficiency.size() == 6);
    CHECK(spec.network_efficiency.size() == 6);
    CHECK(spec.nvlink_step_latency > Seconds(0));
    CHECK(spec.nvlink_ramp.small_cost > 1.0);
  }
}

TEST_CASE("efficiencies are read by members") {
  const CollectiveSpec spec = read_collectives(shipped("nccl_h100"));
  const auto& all_reduce = spec.nvlink_efficiency.at(CollectiveKind::all_reduce);
  REQUIRE(all_reduce.size() == 2);
  CHECK(all_reduce.at(2) == 0.677);
  CHECK(all_reduce.at(8) == 0.951);
}

TEST_CASE("a ring that claims more than its link is refused with its place") {
  JsonNode profile = shipped("nccl_h100");
  profile.find("nvlink_efficiency")->find("all_reduce")->find("8")->value = 1.06;
  CHECK(mentions(complaint(profile), "/nvlink_efficiency/all_reduce/8"));
}

TEST_CASE("a kind that is left out is missed by name") {
  JsonNode profile = shipped("nccl_h100");
  auto& kinds = std::get<JsonNode::Object>(profile.find("base_latency")->value);
  std::erase_if(kinds, [](const auto& entry) { return entry.first == "broadcast"; });
  CHECK(mentions(complaint(profile), "broadcast"));
}

TEST_CASE("a member count must be a number") {
  for (const char* key : {"eight", "8x", "0", "-2", ""}) {
    JsonNode profile = shipped("nccl_h100");
    std::get<JsonNode::Object>(profile.find("nvlink_efficiency")->find("send")->value).front().first = key;
    CAPTURE(key);
    CHECK(mentions(complaint(profile), "members"));
  }
}

TEST_CASE("the same member count twice is refused") {
  JsonNode profile = shipped("nccl_h100");
  auto& by_members = std::get<JsonNode::Object>(profile.find("nvlink_efficiency")->find("all_reduce")->value);
  by_members.back().first = "02";
  CHECK(mentions(complaint(profile), "given before"));
}

}  // namespace fabricast::collective_config_test
