// The numbers that a run starts from: weights and token ids as pure functions of a seed and of their place in the full model, so that any
// shard equals its slice of the full matrix. Knows no shards and no schedule. Executor and reference share this file and nothing else.
#pragma once

#include <cstdint>
#include <string_view>

#include "strategies/ir/split_mix.hpp"

namespace fabricast::runtime {

/// How large a weight's values are. matrix: variance 1 / rows (fan-in), so that products neither grow nor vanish. table (looked up, not
/// multiplied): variance 1. norm: within 10 % of 1.
enum class WeightLaw : std::uint8_t { matrix, table, norm };

/// Which full matrix: its name, its layer (0 outside the layers) and its expert (0 where there is one for all), and its size.
struct WeightMatrix {
  std::string_view label;
  std::int64_t layer = 0, expert = 0;
  std::int64_t rows = 0, columns = 0;
};

/// Values of one full matrix. Uniform, never all alike, 24 random bits each. Plain data that a device may take by value: there, too, `at`
/// rounds the product and the sum one by one.
class RandomWeights {
 public:
  RandomWeights(std::uint64_t seed, const WeightMatrix& matrix, WeightLaw law);
  [[nodiscard]] constexpr float at(std::int64_t row, std::int64_t column) const {
    const std::uint64_t bits = generator_.fork(static_cast<std::uint64_t>(row * columns_ + column)).next();
    const float signed_unit = static_cast<float>(bits >> 40U) * (1.0F / 8388608.0F) - 1.0F;  // in [-1, 1), exact: 2^-23
    return centre_ + half_width_ * signed_unit;
  }

 private:
  ir::SplitMix64 generator_;
  std::int64_t columns_;
  float centre_, half_width_;
};

/// The token at `position` of what a replica processes in a micro-batch (sequences one after the other); below `vocabulary`.
[[nodiscard]] std::int32_t random_token(std::uint64_t seed, std::int64_t micro_batch, std::int64_t replica, std::int64_t position,
                                        std::int64_t vocabulary);

}  // namespace fabricast::runtime
