#include "hardware_models/gpu_config.hpp"

#include <doctest/doctest.h>

#include <string>

#include "hardware_models/config_error.hpp"

namespace fabricast::gpu_config_test {

using namespace fabricast;
using namespace fabricast::hw;

namespace {

JsonNode shipped(const std::string& name) {
  return parse_json_file(std::string(FABRICAST_SOURCE_DIR) + "/configs/gpus/" + name + ".json");
}

/// The error of reading a GPU whose file was spoilt at one place.
std::string complaint(JsonNode gpu) {
  try {
    (void)read_gpu(gpu);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

JsonNode& at(JsonNode& node, std::initializer_list<const char*> keys) {
  JsonNode* found = &node;
  for (const char* key : keys) {
    found = found->find(key);
    REQUIRE(found != nullptr);
  }
  return *found;
}

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the shipped H100 has its data sheet's numbers") {
  const GpuSpec gpu = read_gpu(shipped("h100_sxm_80gb"));
  CHECK(gpu.name == "h100_sxm_80gb");
  CHECK(gpu.streaming_multiprocessors == 132);
  CHECK(gpu.peak[static_cast<std::size_t>(Precision::bf16)].value() == doctest::Approx(989.4e12).epsilon(1e-12));
  CHECK(gpu.memory_bandwidth.value() == doctest::Approx(3.35e12).epsilon(1e-12));
  CHECK(gpu.memory > Bytes(80'000'000'000));
  CHECK(gpu.memory < Bytes(std::int64_t{80} << 30));
  CHECK(gpu.gemm.tiles.size() == 4);
  REQUIRE(gpu.gemm.grouped.has_value());
  CHECK(gpu.gemm.grouped->tiles.back().rows == 16);
}

TEST_CASE("the guide's 64 GB GPU is the same chip with less memory") {
  const GpuSpec large = read_gpu(shipped("h100_sxm_80gb")), small = read_gpu(shipped("h100_sxm_64gb"));
  CHECK(small.memory == Bytes(std::int64_t{64} << 30));
  CHECK(small.peak == large.peak);
  CHECK(small.memory_bandwidth == large.memory_bandwidth);
  CHECK(small.launch == large.launch);
  CHECK(small.contention == large.contention);
  CHECK(small.gemm.sustained == large.gemm.sustained);
  CHECK(small.gemm.throttle == large.gemm.throttle);
  CHECK(small.gemm.burst == large.gemm.burst);
  CHECK(small.gemm.prologue_k == large.gemm.prologue_k);
  CHECK(small.gemm.split_k == large.gemm.split_k);
  CHECK(small.attention.sustained == large.attention.sustained);
  CHECK(small.attention.prologue_keys == large.attention.prologue_keys);
  CHECK(small.pass.rms_norm == large.pass.rms_norm);
  CHECK(small.pass.permute == large.pass.permute);
}

TEST_CASE("the A100 has no fp8") {
  CHECK(read_gpu(shipped("a100_sxm_80gb")).peak[static_cast<std::size_t>(Precision::fp8)] == FlopPerSecond(0));
}

TEST_CASE("a rate of grouped GEMMs without its unit or a share above one is refused with its place") {
  JsonNode gpu = shipped("h100_sxm_80gb");
  at(gpu, {"gemm", "grouped", "tile_load"}).value = 93.0;
  CHECK(mentions(complaint(gpu), "/gemm/grouped/tile_load"));
  gpu = shipped("h100_sxm_80gb");
  at(gpu, {"gemm", "grouped", "memory"}).value = 1.5;
  CHECK(mentions(complaint(gpu), "/gemm/grouped/memory"));
}

TEST_CASE("what small passes do is optional, and refused with its place where it cannot be") {
  const GpuSpec h100 = read_gpu(shipped("h100_sxm_80gb"));
  REQUIRE(h100.pass.cache.has_value());
  CHECK(h100.pass.cache->share.rms_norm.value_or(0) > h100.pass.rms_norm);
  CHECK_FALSE(h100.pass.cache->share.permute.has_value());
  CHECK_FALSE(read_gpu(shipped("b200_sxm_180gb")).pass.cache.has_value());
  JsonNode gpu = shipped("h100_sxm_80gb");
  at(gpu, {"pass", "cache", "size"}).value = 39.0;
  CHECK(mentions(complaint(gpu), "/pass/cache/size"));
  gpu = shipped("h100_sxm_80gb");
  at(gpu, {"pass", "row", "rope"}).value = std::string("15 GB");
  CHECK(mentions(complaint(gpu), "/pass/row/rope"));
}

TEST_CASE("what decoding takes is optional, and refused with its place where it cannot be") {
  CHECK(read_gpu(shipped("h100_sxm_80gb")).attention.decode.has_value());
  CHECK_FALSE(read_gpu(shipped("b200_sxm_180gb")).attention.decode.has_value());
  JsonNode gpu = shipped("h100_sxm_80gb");
  at(gpu, {"attention", "decode", "fill"}).value = 13.0;
  CHECK(mentions(complaint(gpu), "/attention/decode/fill"));
  gpu = shipped("h100_sxm_80gb");
  at(gpu, {"attention", "decode", "most_shared"}).value = std::int64_t{0};
  CHECK(mentions(complaint(gpu), "/attention/decode/most_shared"));
}

TEST_CASE("a share above one is refused with its place") {
  JsonNode gpu = shipped("h100_sxm_80gb");
  at(gpu, {"gemm", "sustained"}).value = 85.4;
  CHECK(mentions(complaint(gpu), "/gemm/sustained"));
}

TEST_CASE("contention at which more work could take less time is refused") {
  JsonNode gpu = shipped("h100_sxm_80gb");
  at(gpu, {"contention"}).value = 0.51;
  CHECK(mentions(complaint(gpu), "/contention"));
}

TEST_CASE("a misspelt key is refused with the key that was meant") {
  JsonNode gpu = shipped("h100_sxm_80gb");
  for (auto& [key, value] : std::get<JsonNode::Object>(at(gpu, {"pass"}).value)) {
    if (key == "rope") key = "ropes";
  }
  CHECK(mentions(complaint(gpu), "rope"));
}

TEST_CASE("a GEMM without a tile is refused") {
  JsonNode gpu = shipped("h100_sxm_80gb");
  at(gpu, {"gemm", "tiles"}).value = JsonNode::Array{};
  CHECK(mentions(complaint(gpu), "/gemm/tiles"));
}

TEST_CASE("a chip that can compute nothing is refused") {
  JsonNode gpu = shipped("h100_sxm_80gb");
  at(gpu, {"peak"}).value = JsonNode::Object{};
  CHECK(mentions(complaint(gpu), "/peak"));
}

}  // namespace fabricast::gpu_config_test
