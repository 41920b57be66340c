// Data that is a function of its place, one block a row: weights as runtime/parameters.cpp fills them, and random numbers. Knows no launches.
#pragma once

#include <cstdint>

#include "runtime/cuda/kernels.hpp"
#include "runtime/cuda/row_programs.hpp"
#include "strategies/ir/split_mix.hpp"

namespace fabricast::runtime::cuda {

template <class Element>
struct FillWeights {
  RandomWeights matrix;
  WeightRuns columns;
  std::int64_t first_row;
  bool is_transposed;
  Element* out;
  std::int64_t width;

  [[nodiscard]] FABRICAST_DEVICE_CODE std::int64_t column_of(std::int64_t place) const {
    int run = 0;
    while (place >= columns.count[run]) place -= columns.count[run++];
    return columns.first[run] + place;
  }

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    deal(block, width, [&](std::int64_t i) {
      const std::int64_t column = column_of(i), full_row = first_row + row;
      store(is_transposed ? matrix.at(column, full_row) : matrix.at(full_row, column), out[row * width + i]);
    });
  }
};

/// 16 bytes of numbers in [-1, 1).
[[nodiscard]] FABRICAST_DEVICE_CODE inline Pack<float> random_pack(std::uint64_t seed, std::int64_t place, bool is_bf16) {
  ir::SplitMix64 generator = ir::SplitMix64(seed).fork(static_cast<std::uint64_t>(place));
  Pack<float> result{};
  for (int w = 0; w < 4; w += 2) {
    const std::uint64_t bits = generator.next();
    for (int half = 0; half < 2; ++half) {
      const auto word = static_cast<std::uint32_t>(bits >> (32 * half));
      if (is_bf16) {
        Pack<Bf16> pair{};
        for (int e = 0; e < 2; ++e) pair.set(e, static_cast<float>(word >> (16 * e) & 0xffffU) * (1.0F / 32768.0F) - 1.0F);
        result.words[w + half] = pair.words[0];
      } else {
        result.set(w + half, static_cast<float>(word >> 8U) * (1.0F / 8388608.0F) - 1.0F);
      }
    }
  }
  return result;
}

/// A row is `chunk` bytes of memory that starts at a multiple of 16.
struct FillRandom {
  static constexpr std::int64_t chunk = 16384;
  std::uint64_t seed;
  std::byte* out;
  std::int64_t bytes;
  bool is_bf16;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const std::int64_t begin = row * chunk, count = bytes - begin < chunk ? bytes - begin : chunk;
    deal(block, (count + 15) / 16, [&](std::int64_t i) {
      const Pack<float> pack = random_pack(seed, begin / 16 + i, is_bf16);
      const std::int64_t left = count - 16 * i;
      if (left >= 16) {
        *reinterpret_cast<Pack<float>*>(out + begin + 16 * i) = pack;
      } else {
        for (std::int64_t b = 0; b < left; ++b) out[begin + 16 * i + b] = static_cast<std::byte>(pack.words[b / 4] >> (8 * (b % 4)) & 0xffU);
      }
    });
  }
};

}  // namespace fabricast::runtime::cuda
