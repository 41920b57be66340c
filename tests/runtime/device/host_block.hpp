// Runs the programs of device kernels (runtime/cuda/block_program.hpp) on the host, one thread of a block after the other. Sums and maxima
// are taken in the order of the device: within warps by halves, then over warps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "runtime/cuda/block_program.hpp"

namespace fabricast::tests {

class HostBlock {
 public:
  template <class T>
  class PerThread {
   public:
    explicit PerThread(const HostBlock& block) : values_(static_cast<std::size_t>(block.threads())) {}
    [[nodiscard]] T& operator[](int thread) { return values_[static_cast<std::size_t>(thread)]; }

   private:
    std::vector<T> values_;
  };

  explicit HostBlock(int threads) : threads_(threads) {}
  [[nodiscard]] int threads() const { return threads_; }

  template <class F>
  void each(F f) {
    for (int t = 0; t < threads_; ++t) f(t);
  }
  /// Backwards: where threads did read what others wrote, it would show.
  template <class F>
  void each_alone(F f) {
    for (int t = threads_; t-- > 0;) f(t);
  }

  template <class F>
  [[nodiscard]] float sum(F f) {
    return reduce(f, 0.0F, [](float a, float b) { return a + b; });
  }
  template <class F>
  [[nodiscard]] float maximum(F f) {
    return reduce(f, -std::numeric_limits<float>::infinity(), [](float a, float b) { return std::max(a, b); });
  }

  template <class T>
  [[nodiscard]] T* shared() {
    memory_.assign(sizeof(T) / sizeof(Line) + 1, Line{});
    return reinterpret_cast<T*>(memory_.data());
  }

  /// d[16,8] += a[16,16] · b[16,8] in each warp. Where element (row, column) of a fragment is kept: PTX ISA 9.7.14, "Matrix fragments for
  /// mma.m16n8k16 with floating point type".
  template <class T, class F>
  void mma(PerThread<T>& state, F f) {
    for (int warp = 0; warp < threads_; warp += 32) {
      float a[16][16], b[16][8], d[16][8];
      for (int t = 0; t < 32; ++t) {
        const auto fragments = f(state[warp + t]);
        for (int i = 0; i < 8; ++i) a[row_of_a(t, i)][column_of_a(t, i)] = half_of(fragments.a[i / 2], i);
        for (int i = 0; i < 4; ++i) b[row_of_b(t, i)][t / 4] = half_of(fragments.b[i / 2], i);
        for (int i = 0; i < 4; ++i) d[t / 4 + i / 2 * 8][t % 4 * 2 + i % 2] = fragments.d[i];
      }
      for (auto r = 0; r < 16; ++r) {
        for (int c = 0; c < 8; ++c) {
          for (int k = 0; k < 16; ++k) d[r][c] += a[r][k] * b[k][c];
        }
      }
      for (int t = 0; t < 32; ++t) {
        const auto fragments = f(state[warp + t]);
        for (int i = 0; i < 4; ++i) fragments.d[i] = d[t / 4 + i / 2 * 8][t % 4 * 2 + i % 2];
      }
    }
  }

  template <class T, class F>
  void quad_sum(PerThread<T>& state, F f) {
    over_quads(state, f, [](float a, float b) { return a + b; });
  }
  template <class T, class F>
  void quad_maximum(PerThread<T>& state, F f) {
    over_quads(state, f, [](float a, float b) { return std::max(a, b); });
  }

 private:
  struct alignas(16) Line {
    std::byte bytes[16];
  };

  static float half_of(std::uint32_t pair, int i) {
    return runtime::to_float(runtime::Bf16{static_cast<std::uint16_t>(i % 2 == 0 ? pair & 0xffffU : pair >> 16U)});
  }
  // PTX: row = groupID for a0, a1, a4, a5, else groupID + 8; column = 2 · threadID_in_group + (i & 1), + 8 from a4 on.
  static int row_of_a(int t, int i) { return t / 4 + (i == 0 || i == 1 || i == 4 || i == 5 ? 0 : 8); }
  static int column_of_a(int t, int i) { return t % 4 * 2 + i % 2 + (i >= 4 ? 8 : 0); }
  // PTX: row = 2 · threadID_in_group + (i & 1), + 8 from b2 on; column = groupID.
  static int row_of_b(int t, int i) { return t % 4 * 2 + i % 2 + (i >= 2 ? 8 : 0); }

  template <class F, class Combine>
  float reduce(F f, float neutral, Combine combine) {
    float result = neutral;
    for (int warp = 0; warp < threads_; warp += 32) {
      float values[32];
      for (int t = 0; t < 32; ++t) values[t] = f(warp + t);
      for (int step = 16; step > 0; step /= 2) {
        for (int t = 0; t < step; ++t) values[t] = combine(values[t], values[t + step]);
      }
      result = threads_ == 32 ? values[0] : combine(result, values[0]);
    }
    return result;
  }

  template <class T, class F, class Combine>
  void over_quads(PerThread<T>& state, F f, Combine combine) {
    for (int first = 0; first < threads_; first += 4) {
      const float all = combine(combine(f(state[first]), f(state[first + 1])), combine(f(state[first + 2]), f(state[first + 3])));
      for (int t = 0; t < 4; ++t) f(state[first + t]) = all;
    }
  }

  int threads_;
  std::vector<Line> memory_;
};

}  // namespace fabricast::tests
