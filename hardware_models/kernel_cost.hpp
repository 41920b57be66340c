// What the models of single kernels share: the part of a chip that is left, streams through its memory, and how arithmetic and memory join.
// For gpu_cost.cpp and the files of its kernels only.
#pragma once

#include <cstdint>

#include "hardware_models/gpu_cost.hpp"

namespace fabricast::hw {

[[nodiscard]] constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Throws ConfigError where the chip has no unit for the precision.
[[nodiscard]] FlopPerSecond peak_of(const GpuSpec& gpu, Precision precision);

/// A GPU less what others hold of it.
struct Chip {
  const GpuSpec& gpu;
  std::int64_t streaming_multiprocessors;
  BytesPerSecond memory_bandwidth;
};

/// One SM is always left. Between two that both want all of the memory bandwidth each gets half, so a kernel never has less than that.
[[nodiscard]] Chip what_is_left(const GpuSpec& gpu, const GpuLoad& load);

/// What one SM does at `share` of the peak.
[[nodiscard]] FlopPerSecond sm_rate(const GpuSpec& gpu, Precision precision, double share);

[[nodiscard]] inline Seconds stream(Bytes traffic, const Chip& chip, double share) { return traffic / (chip.memory_bandwidth * share); }

/// Share of `traffic` that a cache of random replacement holds when kernel after kernel streams as many bytes: a line stays with probability h
/// while (1 - h)·traffic / size others are replaced one by one, so h = exp(-(1 - h)·traffic / size), whose root below 1 is bracketed.
[[nodiscard]] double hit_share(Bytes traffic, Bytes size);

/// The longer of the two, lengthened by as much as they compete: longer · (1 + contention · (shorter / longer)³). Rises with either
/// time as long as contention <= 1/2.
[[nodiscard]] Seconds join(Seconds arithmetic, Seconds memory, double contention);

/// Kernels' times beyond the launch.
[[nodiscard]] Seconds gemm_time(const Gemm<std::int64_t>& work, const Chip& chip, Duty duty);
[[nodiscard]] Seconds grouped_gemm_time(const GroupedGemm<ExpertRowCounts>& work, const Chip& chip, Duty duty);
[[nodiscard]] Seconds attention_time(const Attention<std::int64_t>& work, const Chip& chip);
/// `row`: traffic of a single row of it.
[[nodiscard]] Seconds pass_time(PassKind kind, Bytes traffic, Bytes row, const Chip& chip);

}  // namespace fabricast::hw
