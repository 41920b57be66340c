#include "validation/gpu_parameters.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace fabricast::validation {

namespace {

using Form = GpuParameter::Form;
using hw::GpuSpec;

constexpr double least_tile_load = 1e9, most_tile_load = 1e12, tile_load_step = 2e9;   // of an SM; an H100's L2 cache gives each some tens of GB/s
constexpr double least_row_rate = 1e8, most_row_rate = 1e12, row_rate_step = 1e8;      // of the block that works on a row
constexpr double most_block = 1e-3, block_step = 5e-8;                                   // of decoding attention
constexpr double least_cache = 1e6, most_cache = 1e9, cache_step = 2e5;
constexpr double most_memory_lost = 4.0, sms_step = 0.05;   // whole SMs: a small step would change nothing
constexpr double least_share = 0.01, least_pass_share = 1e-5;   // as gpu_config.cpp reads them

/// A number that the specification holds as a double.
GpuParameter share(std::string pointer, std::function<double&(GpuSpec&)> field, double most = 1.0) {
  return {std::move(pointer), Form::share, least_share, most, 0.005, [field](GpuSpec gpu) { return field(gpu); },
          [field](GpuSpec& gpu, double value) { field(gpu) = value; }};
}

GpuParameter seconds(std::string pointer, std::function<Seconds&(GpuSpec&)> field, double most, double step) {
  return {std::move(pointer), Form::seconds, 0.0, most, step, [field](GpuSpec gpu) { return field(gpu).value(); },
          [field](GpuSpec& gpu, double value) { field(gpu) = Seconds(value); }};
}

/// Whole numbers: a step of 8 makes rounding a small part of a derivative.
GpuParameter whole(std::string pointer, std::function<std::int64_t&(GpuSpec&)> field, double most) {
  return {std::move(pointer), Form::whole, 0.0, most, 8.0,
          [field](GpuSpec gpu) { return static_cast<double>(field(gpu)); },
          [field](GpuSpec& gpu, double value) { field(gpu) = std::llround(value); }};
}

GpuParameter rate(std::string pointer, std::function<BytesPerSecond&(GpuSpec&)> field, double least, double most, double step) {
  return {std::move(pointer), Form::rate, least, most, step, [field](GpuSpec gpu) { return field(gpu).value(); },
          [field](GpuSpec& gpu, double value) { field(gpu) = BytesPerSecond(value); }};
}

std::string pointer_to(hw::PassKind pass, const char* group = "") { return fmt::format("/pass/{}{}", group, name_of(pass)); }

}  // namespace

std::vector<GpuParameter> gemm_parameters(const GpuSpec& base, bool knows_throttle) {
  std::vector<GpuParameter> result{
      share("/gemm/sustained", [](GpuSpec& gpu) -> double& { return gpu.gemm.sustained; }),
      seconds("/gemm/setup", [](GpuSpec& gpu) -> Seconds& { return gpu.gemm.setup; }, 1e-3, 5e-8),
      share("/gemm/memory", [](GpuSpec& gpu) -> double& { return gpu.gemm.memory; }),
      whole("/gemm/prologue_k", [](GpuSpec& gpu) -> std::int64_t& { return gpu.gemm.prologue_k; }, 4096),
  };
  for (std::size_t i = 1; i < base.gemm.tiles.size(); ++i) {
    result.push_back(share(fmt::format("/gemm/tiles/{}/efficiency", i), [i](GpuSpec& gpu) -> double& { return gpu.gemm.tiles[i].efficiency; }));
  }
  GpuParameter contention = share("/contention", [](GpuSpec& gpu) -> double& { return gpu.contention; }, 0.5);
  contention.least = 0.0;
  result.push_back(std::move(contention));
  result.push_back(whole("/gemm/split_k", [](GpuSpec& gpu) -> std::int64_t& { return gpu.gemm.split_k; }, 8192));
  if (knows_throttle) {
    GpuParameter throttle = share("/gemm/throttle", [](GpuSpec& gpu) -> double& { return gpu.gemm.throttle; }, 2.0);
    throttle.least = 0.0;
    result.push_back(std::move(throttle));
    result.push_back(seconds("/gemm/burst", [](GpuSpec& gpu) -> Seconds& { return gpu.gemm.burst; }, 0.1, 5e-5));
  }
  return result;
}

std::vector<GpuParameter> fp8_parameters() {
  GpuParameter result = share("/gemm/sustained_fp8", [](GpuSpec& gpu) -> double& {
    if (!gpu.gemm.sustained_fp8) gpu.gemm.sustained_fp8 = gpu.gemm.sustained;
    return *gpu.gemm.sustained_fp8;
  });
  return {std::move(result)};
}

std::vector<GpuParameter> grouped_parameters(const GpuSpec& base) {
  if (!base.gemm.grouped) return {};
  return {share("/gemm/grouped/memory", [](GpuSpec& gpu) -> double& { return gpu.gemm.grouped->memory; }),
          rate("/gemm/grouped/tile_load", [](GpuSpec& gpu) -> BytesPerSecond& { return gpu.gemm.grouped->tile_load; }, least_tile_load,
               most_tile_load, tile_load_step)};
}

std::vector<GpuParameter> prefill_parameters(bool knows_depth) {
  std::vector<GpuParameter> result{
      share("/attention/sustained", [](GpuSpec& gpu) -> double& { return gpu.attention.sustained; }),
      whole("/attention/prologue_keys", [](GpuSpec& gpu) -> std::int64_t& { return gpu.attention.prologue_keys; }, 4096)};
  if (knows_depth) {
    result.push_back(whole("/attention/softmax_depth", [](GpuSpec& gpu) -> std::int64_t& { return gpu.attention.softmax_depth; }, 1024));
  }
  return result;
}

std::vector<GpuParameter> decode_parameters(const GpuSpec& base) {
  std::vector<GpuParameter> result{share("/attention/memory", [](GpuSpec& gpu) -> double& { return gpu.attention.memory; })};
  if (!base.attention.decode) return result;
  const auto block = [](std::string name, Seconds hw::DecodeEfficiency::* member) {
    return seconds("/attention/decode/" + name, [member](GpuSpec& gpu) -> Seconds& { return (*gpu.attention.decode).*member; }, most_block, block_step);
  };
  const auto bytes_per_second = [](std::string name, BytesPerSecond hw::DecodeEfficiency::* member, double least, double most) {
    return rate("/attention/decode/" + name, [member](GpuSpec& gpu) -> BytesPerSecond& { return (*gpu.attention.decode).*member; }, least, most, least);
  };
  result.push_back(block("shared_block", &hw::DecodeEfficiency::shared_block));
  result.push_back(block("fill", &hw::DecodeEfficiency::fill));
  result.push_back(bytes_per_second("block_rate", &hw::DecodeEfficiency::block_rate, 1e8, 1e12));
  result.push_back(block("single_block", &hw::DecodeEfficiency::single_block));
  result.push_back(bytes_per_second("shared_reads", &hw::DecodeEfficiency::shared_reads, 1e10, 1e14));
  return result;
}

/// A host's scalar passes, its router's above all, reach thousandths of what its copies do.
GpuParameter pass_parameter(hw::PassKind pass) {
  GpuParameter result = share(pointer_to(pass), [pass](GpuSpec& gpu) -> double& { return gpu.pass[pass]; });
  result.least = least_pass_share;
  result.step = result.least / 2;
  return result;
}

std::vector<GpuParameter> small_pass_parameters(const GpuSpec& base, hw::PassKind pass) {
  std::vector<GpuParameter> result;
  if (base.pass.cache && base.pass.cache->share[pass]) {
    result.push_back(share(pointer_to(pass, "cache/"), [pass](GpuSpec& gpu) -> double& { return *gpu.pass.cache->share[pass]; }));
    result.back().least = least_pass_share;
  }
  if (base.pass.row[pass]) {
    result.push_back(rate(pointer_to(pass, "row/"), [pass](GpuSpec& gpu) -> BytesPerSecond& { return *gpu.pass.row[pass]; }, least_row_rate,
                          most_row_rate, row_rate_step));
  }
  return result;
}

std::vector<GpuParameter> pass_cache_parameters(const GpuSpec& base) {
  if (!base.pass.cache) return {};
  return {{"/pass/cache/size", Form::bytes, least_cache, most_cache, cache_step,
           [](GpuSpec gpu) { return static_cast<double>(gpu.pass.cache->size.value()); },
           [](GpuSpec& gpu, double value) { gpu.pass.cache->size = Bytes(std::llround(value)); }}};
}

std::vector<GpuParameter> interference_parameters() {
  std::vector<GpuParameter> result{share("/interference/memory", [](GpuSpec& gpu) -> double& { return gpu.interference.memory; }, most_memory_lost),
                                   share("/interference/sms", [](GpuSpec& gpu) -> double& { return gpu.interference.sms; })};
  for (GpuParameter& parameter : result) parameter.least = 0.0;
  result.back().step = sms_step;
  return result;
}

GpuParameter moe_pass_parameter() {
  GpuParameter both = pass_parameter(hw::PassKind::permute);
  both.set = [](GpuSpec& gpu, double value) { gpu.pass.permute = gpu.pass.weighted_sum = value; };
  return both;
}

}  // namespace fabricast::validation
