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

/// A profile by kind, which no shipped file is.
JsonNode by_kind() {
  return parse_json_text(R"({
    "base_latency": { "all_reduce": "4.8 us", "all_gather": "4.4 us", "reduce_scatter": "4.8 us", "broadcast": "4.4 us",
                      "all_to_all": "6.4 us", "send": "5.8 us" },
    "nvlink_step_latency": "0.23 us", "network_step_latency": "2.6 us",
    "nvlink_efficiency": { "all_reduce": { "2": 0.677, "8": 0.951 }, "all_gather": { "2": 0.55 }, "reduce_scatter": { "2": 0.552 },
                           "broadcast": { "2": 0.55 }, "all_to_all": { "2": 0.649 }, "send": { "2": 0.649 } },
    "nvlink_ramp": { "small_cost": 2.71, "size": "3.48 MB" },
    "network_efficiency": { "all_reduce": 0.94, "all_gather": 0.94, "reduce_scatter": 0.94, "broadcast": 0.94, "all_to_all": 0.9,
                            "send": 0.94 } })",
                         "profile");
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

TEST_CASE("the shipped profiles describe the library's kernels") {
  for (const char* name : {"nccl_h100", "nccl_h100_roce", "nccl_h100_efa", "nccl_a100", "nccl_a100_efa", "nccl_b200"}) {
    CAPTURE(name);
    const CollectiveSpec spec = read_collectives(shipped(name));
    REQUIRE(spec.kernels.has_value());
    CHECK(spec.pipeline_chunk > Bytes(0));
    // LL starts sooner and is slower than LL128, and LL128 than Simple
    const LibraryKernels& kernels = *spec.kernels;
    CHECK(kernels.ll.call <= kernels.ll128.call);
    CHECK(kernels.ll128.call < kernels.simple.call);
    CHECK(kernels.ll.nvlink_share < kernels.ll128.nvlink_share);
    CHECK(kernels.ll128.nvlink_share < kernels.simple.nvlink_share);
  }
}

TEST_CASE("kernels are read with their quantities") {
  const CollectiveSpec spec = read_collectives(shipped("nccl_h100"));
  CHECK(spec.channels.ring == 24);
  CHECK(spec.kernels->nvlink == BytesPerSecond(450e9));
  CHECK(spec.kernels->simple.nvlink_share == 0.788);
  CHECK(spec.kernels->simple.fill_size == Bytes(45'500'000));
  REQUIRE(spec.kernels->tokens.has_value());
  CHECK(spec.kernels->tokens->sms == 20);
  CHECK(spec.kernels->tokens->combine.forwarding == 1.96);
  CHECK(spec.kernels->tokens->combine.piece == 176);
  REQUIRE(spec.kernels->switch_loops.has_value());
  CHECK(spec.kernels->switch_loops->in_node == Bytes(128 << 10));
  CHECK(spec.kernels->switch_loops->stages == 2.0);
  REQUIRE(spec.kernels->tuner.has_value());
  CHECK(spec.kernels->tuner->ll128.rate == BytesPerSecond(331.2e9));
  CHECK(spec.kernels->point_to_point_ll.has_value());
  CHECK(spec.kernels->message == Seconds(0));
  CHECK_FALSE(read_collectives(shipped("nccl_a100")).kernels->tuner->nvls.has_value());
}

TEST_CASE("a loop of NVSwitches has chunks that NCCL takes") {
  JsonNode profile = shipped("nccl_h100");
  profile.find("kernels")->find("switch_loops")->find("chunk_across")->value = "8 KiB";
  CHECK(mentions(complaint(profile), "chunk_across"));
  CHECK(mentions(complaint(profile), "16 KiB at least"));
}

TEST_CASE("kernels that claim more than their link, or forward for nothing, are refused with their place") {
  JsonNode profile = shipped("nccl_h100");
  profile.find("kernels")->find("nvls")->find("nvlink_share")->value = 1.06;
  CHECK(mentions(complaint(profile), "/kernels/nvls/nvlink_share"));
  profile = shipped("nccl_h100");
  profile.find("kernels")->find("tokens")->find("dispatch")->find("forwarding")->value = 0.5;
  CHECK(mentions(complaint(profile), "/kernels/tokens/dispatch/forwarding"));
}

TEST_CASE("efficiencies by kind are read by members") {
  const CollectiveSpec spec = read_collectives(by_kind());
  CHECK(spec.base_latency.size() == 6);
  const auto& all_reduce = spec.nvlink_efficiency.at(CollectiveKind::all_reduce);
  REQUIRE(all_reduce.size() == 2);
  CHECK(all_reduce.at(2) == 0.677);
  CHECK(all_reduce.at(8) == 0.951);
}

TEST_CASE("a ring that claims more than its link is refused with its place") {
  JsonNode profile = by_kind();
  profile.find("nvlink_efficiency")->find("all_reduce")->find("8")->value = 1.06;
  CHECK(mentions(complaint(profile), "/nvlink_efficiency/all_reduce/8"));
}

TEST_CASE("a kind that is left out is missed by name") {
  JsonNode profile = by_kind();
  auto& kinds = std::get<JsonNode::Object>(profile.find("base_latency")->value);
  std::erase_if(kinds, [](const auto& entry) { return entry.first == "broadcast"; });
  CHECK(mentions(complaint(profile), "broadcast"));
}

TEST_CASE("a member count must be a number") {
  for (const char* key : {"eight", "8x", "0", "-2", ""}) {
    JsonNode profile = by_kind();
    std::get<JsonNode::Object>(profile.find("nvlink_efficiency")->find("send")->value).front().first = key;
    CAPTURE(key);
    CHECK(mentions(complaint(profile), "members"));
  }
}

TEST_CASE("the same member count twice is refused") {
  JsonNode profile = by_kind();
  auto& by_members = std::get<JsonNode::Object>(profile.find("nvlink_efficiency")->find("all_reduce")->value);
  by_members.back().first = "02";
  CHECK(mentions(complaint(profile), "given before"));
}

}  // namespace fabricast::collective_config_test
