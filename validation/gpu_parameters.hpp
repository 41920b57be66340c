// The constants of a GPU's profile that a fit may move: where each stands in the profile, its bounds, and how it gets into a GpuSpec.
// Knows no measurements.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"

namespace fabricast::validation {

struct GpuParameter {
  enum class Form : std::uint8_t { share, seconds, whole, rate, bytes };   // how the profile writes it: 0.85, "1.2 us", 121, "90 GB/s", "38 MB"
  std::string pointer;            // in the profile: "/gemm/sustained"
  Form form;
  double least, most, step;
  std::function<double(hw::GpuSpec)> get;
  std::function<void(hw::GpuSpec&, double)> set;
};

/// GEMM: in order of weight, so that few rows fit the first ones only. The first tile's efficiency is 1 by definition.
[[nodiscard]] std::vector<GpuParameter> gemm_parameters(const hw::GpuSpec& base, bool knows_throttle);
/// What fp8 sustains, the other constants being those of the wider precisions.
[[nodiscard]] std::vector<GpuParameter> fp8_parameters();
/// Grouped GEMM: none where the profile has no group of them.
[[nodiscard]] std::vector<GpuParameter> grouped_parameters(const hw::GpuSpec& base);
[[nodiscard]] std::vector<GpuParameter> prefill_parameters(bool knows_depth);
/// The share of bandwidth alone where the profile has no constants of decoding.
[[nodiscard]] std::vector<GpuParameter> decode_parameters(const hw::GpuSpec& base);
/// The share of memory bandwidth that a pass reaches on large inputs.
[[nodiscard]] GpuParameter pass_parameter(hw::PassKind pass);
/// What decides about its small inputs, where the profile has it: its share in the cache, and the rate of a row.
[[nodiscard]] std::vector<GpuParameter> small_pass_parameters(const hw::GpuSpec& base, hw::PassKind pass);
/// The cache that passes see; none where the profile has none.
[[nodiscard]] std::vector<GpuParameter> pass_cache_parameters(const hw::GpuSpec& base);
/// What is lost of the memory that communication draws, and of the SMs that it holds.
[[nodiscard]] std::vector<GpuParameter> interference_parameters();
/// permute and weighted_sum moved together, for sources that time them together.
[[nodiscard]] GpuParameter moe_pass_parameter();

}  // namespace fabricast::validation
