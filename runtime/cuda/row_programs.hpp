// Kernels that touch each element once, one block a row: the definitions of runtime/host_elementwise.hpp. Unit: Pack<Element>, or
// Single<Element> where rows are no multiples of 16 bytes. Knows no launches.
#pragma once

#include <cmath>
#include <cstdint>

#include "runtime/cuda/block_program.hpp"

namespace fabricast::runtime::cuda {

/// Calls f(i) for the i < count of each thread.
template <class Block, class F>
FABRICAST_DEVICE_CODE void deal(Block& block, std::int64_t count, F f) {
  const auto step = static_cast<std::int64_t>(block.threads());
  block.each([&](int thread) {
    for (std::int64_t i = thread; i < count; i += step) f(i);
  });
}

/// out = a + b.
template <class Element, class Unit>
struct Add {
  const Element *a, *b;
  Element* out;
  std::int64_t width;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const std::int64_t count = width / Unit::count;
    deal(block, count, [&](std::int64_t i) {
      const Unit x = units<Unit>(a)[row * count + i], y = units<Unit>(b)[row * count + i];
      Unit sum;
      for (int e = 0; e < Unit::count; ++e) sum.set(e, x.get(e) + y.get(e));
      units<Unit>(out)[row * count + i] = sum;
    });
  }
};

/// On a device to two units in the last place: a division in full takes as many instructions as all the rest of a gate.
[[nodiscard]] FABRICAST_DEVICE_CODE inline float quotient(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fdividef(a, b);
#else
  return a / b;
#endif
}

/// in = [gate | up], width columns each: out = silu(gate) · up.
template <class Element, class Unit>
struct SiluGate {
  const Element* in;
  Element* out;
  std::int64_t width;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const std::int64_t count = width / Unit::count;
    deal(block, count, [&](std::int64_t i) {
      const Unit gate = units<Unit>(in)[2 * row * count + i], up = units<Unit>(in)[(2 * row + 1) * count + i];
      Unit result;
      for (int e = 0; e < Unit::count; ++e) {
        const float x = gate.get(e);
        result.set(e, quotient(x, 1.0F + std::exp(-x)) * up.get(e));
      }
      units<Unit>(out)[row * count + i] = result;
    });
  }
};

/// The tanh form.
template <class Element, class Unit>
struct Gelu {
  const Element* in;
  Element* out;
  std::int64_t width;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    constexpr float scale = 0.79788456F;  // √(2/π)
    const std::int64_t count = width / Unit::count;
    deal(block, count, [&](std::int64_t i) {
      const Unit from = units<Unit>(in)[row * count + i];
      Unit result;
      for (int e = 0; e < Unit::count; ++e) {
        const float x = from.get(e);
        result.set(e, 0.5F * x * (1.0F + std::tanh(scale * (x + 0.044715F * x * x * x))));
      }
      units<Unit>(out)[row * count + i] = result;
    });
  }
};

/// out = in / √(mean(in²) + ε) · weight. The second reading of a row comes from the first-level cache.
template <class Element, class Unit>
struct RmsNorm {
  const Element *in, *weight;
  Element* out;
  std::int64_t width;
  float epsilon;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const std::int64_t count = width / Unit::count;
    const Unit* const from = units<Unit>(in) + row * count;
    const auto step = static_cast<std::int64_t>(block.threads());
    const float squares = block.sum([&](int thread) {
      float sum = 0.0F;
      for (std::int64_t i = thread; i < count; i += step) {
        const Unit x = from[i];
        for (int e = 0; e < Unit::count; ++e) sum += x.get(e) * x.get(e);
      }
      return sum;
    });
    const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + epsilon);
    deal(block, count, [&](std::int64_t i) {
      const Unit x = from[i], w = units<Unit>(weight)[i];
      Unit result;
      for (int e = 0; e < Unit::count; ++e) result.set(e, x.get(e) * scale * w.get(e));
      units<Unit>(out)[row * count + i] = result;
    });
  }
};

/// Rotates the first `heads` heads of a row in place; elements i and i + d/2 of a head turn together. turns[position][i]: cosine, sine, read 16
/// bytes at a time where the row is. Rows, positions and what is in a row are fewer than 2^32: a 64-bit division costs more than the rotation.
template <class Element, class Unit>
struct Rotate {
  Element* qk;
  const float* turns;
  std::int64_t row_width, heads, head_dim, sequence_length;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const std::int64_t half = head_dim / 2, count = half / Unit::count;
    const auto position = static_cast<std::uint32_t>(row) % static_cast<std::uint32_t>(sequence_length);
    const float* const turns_of_row = turns + position * half * 2;
    deal(block, heads * count, [&](std::int64_t i) {
      const auto at = static_cast<std::uint32_t>(i), of_head = static_cast<std::uint32_t>(count);
      const std::uint32_t first = at % of_head * Unit::count;
      Element* const head = qk + row * row_width + at / of_head * head_dim + first;
      Unit a = *units<Unit>(head), b = *units<Unit>(head + half);
      float turn[2 * Unit::count];
      read_turns(turns_of_row + 2 * first, turn);
      for (int e = 0; e < Unit::count; ++e) {
        const float cosine = turn[2 * e], sine = turn[2 * e + 1];
        const float x = a.get(e), y = b.get(e);
        a.set(e, x * cosine - y * sine);
        b.set(e, y * cosine + x * sine);
      }
      *units<Unit>(head) = a;
      *units<Unit>(head + half) = b;
    });
  }

  FABRICAST_DEVICE_CODE static void read_turns(const float* from, float (&turn)[2 * Unit::count]) {
    if constexpr (Unit::count > 1) {
      using Four = Pack<float>;
      for (int p = 0; p < 2 * Unit::count / Four::count; ++p) {
        const Four four = units<Four>(from)[p];
        for (int e = 0; e < Four::count; ++e) turn[p * Four::count + e] = four.get(e);
      }
    } else {
      turn[0] = from[0];
      turn[1] = from[1];
    }
  }
};

/// out = table[id - first_id, :], or 0 where the id lies outside the table.
template <class Element, class Unit>
struct Embed {
  const std::int32_t* ids;
  const Element* table;
  Element* out;
  std::int64_t width, first_id, table_rows;

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    const std::int64_t count = width / Unit::count, place = ids[row] - first_id;
    const bool is_here = place >= 0 && place < table_rows;
    deal(block, count, [&](std::int64_t i) {
      units<Unit>(out)[row * count + i] = is_here ? units<Unit>(table)[place * count + i] : Unit{};
    });
  }
};

/// sums[row] = Σ of `chunk` elements of `in`, a row's share: reads and next to no writes.
struct ReadThrough {
  static constexpr std::int64_t chunk = 16384;
  const float* in;
  float* sums;
  std::int64_t elements;            // a multiple of 4

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t row) const {
    using Unit = Pack<float>;
    const std::int64_t begin = row * chunk, left = elements - begin, count = (left < chunk ? left : chunk) / Unit::count;
    const Unit* const from = units<Unit>(in + begin);
    const auto step = static_cast<std::int64_t>(block.threads());
    const float all = block.sum([&](int thread) {
      float sum = 0.0F;
      for (std::int64_t i = thread; i < count; i += step) {
        const Unit x = from[i];
        for (int e = 0; e < Unit::count; ++e) sum += x.get(e);
      }
      return sum;
    });
    deal(block, 1, [&](std::int64_t) { sums[row] = all; });
  }
};

}  // namespace fabricast::runtime::cuda
