// Attention with a running softmax (Milakov and Gimelshein 2018; Dao et al. 2022): the definition of runtime/host_attention.hpp. Knows no
// launches.
#pragma once

#include <cmath>
#include <cstdint>

#include "runtime/cuda/row_programs.hpp"

namespace fabricast::runtime::cuda {

/// qkv[sequences · length, (heads + 2 · kv_heads) · head_dim]; out[sequences · length, heads · head_dim].
struct AttentionSizes {
  std::int64_t sequences, length, heads, kv_heads, head_dim;
  bool causal;

  [[nodiscard]] FABRICAST_DEVICE_CODE std::int64_t row_width() const { return (heads + 2 * kv_heads) * head_dim; }
  [[nodiscard]] FABRICAST_DEVICE_CODE std::int64_t key_column(std::int64_t head) const { return (heads + head * kv_heads / heads) * head_dim; }
  [[nodiscard]] FABRICAST_DEVICE_CODE std::int64_t value_column(std::int64_t head) const { return key_column(head) + kv_heads * head_dim; }
};

/// One warp for each (query, head): any head size up to 256, either precision. Slow and simple.
template <class Element>
struct AttendSimply {
  static constexpr int threads = warp_size, most_dims = 8;   // of a thread
  static constexpr std::int64_t largest_head = warp_size * most_dims;
  const Element* qkv;
  Element* out;
  AttentionSizes sizes;

  struct State {
    float query[most_dims], values[most_dims];
  };

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t index) const {
    const std::int64_t row = index / sizes.heads, head = index % sizes.heads, position = row % sizes.length, dims = sizes.head_dim;
    const Element* const keys = qkv + (row - position) * sizes.row_width() + sizes.key_column(head);
    const Element* const values = qkv + (row - position) * sizes.row_width() + sizes.value_column(head);
    const float scale = 1.0F / std::sqrt(static_cast<float>(dims));
    typename Block::template PerThread<State> state(block);
    block.each([&](int thread) {
      for (int j = 0; j < most_dims; ++j) {
        const std::int64_t d = thread + j * warp_size;
        state[thread].query[j] = d < dims ? scale * to_float(qkv[row * sizes.row_width() + head * dims + d]) : 0.0F;
        state[thread].values[j] = 0.0F;
      }
    });
    float highest = -INFINITY, sum = 0.0F;
    const std::int64_t visible = sizes.causal ? position + 1 : sizes.length;
    for (std::int64_t key = 0; key < visible; ++key) {
      const float score = block.sum([&](int thread) {
        float product = 0.0F;
        for (int j = 0; j < most_dims; ++j) {
          const std::int64_t d = thread + j * warp_size;
          if (d < dims) product += state[thread].query[j] * to_float(keys[key * sizes.row_width() + d]);
        }
        return product;
      });
      const float now_highest = score > highest ? score : highest;
      const float shrink = std::exp(highest - now_highest), weight = std::exp(score - now_highest);
      highest = now_highest;
      sum = sum * shrink + weight;
      block.each([&](int thread) {
        for (int j = 0; j < most_dims; ++j) {
          const std::int64_t d = thread + j * warp_size;
          const float value = d < dims ? to_float(values[key * sizes.row_width() + d]) : 0.0F;
          state[thread].values[j] = state[thread].values[j] * shrink + weight * value;
        }
      });
    }
    block.each([&](int thread) {
      for (int j = 0; j < most_dims; ++j) {
        const std::int64_t d = thread + j * warp_size;
        if (d < dims) store(state[thread].values[j] / sum, out[row * sizes.heads * dims + head * dims + d]);
      }
    });
  }
};

/// Two floats as bf16, the first in the lower half.
[[nodiscard]] FABRICAST_DEVICE_CODE inline std::uint32_t bf16_pair(float low, float high) {
#ifdef __CUDA_ARCH__
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  Bf16 a{}, b{};
  store(low, a);
  store(high, b);
  return static_cast<std::uint32_t>(a.bits) | static_cast<std::uint32_t>(b.bits) << 16U;
#endif
}

/// On tensor cores: bf16, heads of `dims` elements. A block takes 64 queries of one head, each of its 4 warps 16 of them, against the keys 64
/// at a time. Scores and weighted values stay in registers; the scores' fragment is, rounded to bf16, the next product's operand.
///
/// Fragments of mma.m16n8k16 (PTX ISA, "Matrix fragments for mma.m16n8k16"), of thread t, g = t / 4, p = 2 · (t mod 4):
///   a[16,16]: a0 = (g, p), a1 = (g + 8, p), a2 = (g, p + 8), a3 = (g + 8, p + 8), each with its right neighbour in the upper half
///   b[16,8]:  b0 = (p, g), b1 = (p + 8, g), each with the element below it in the upper half
///   d[16,8]:  d0, d1 = (g, p), (g, p + 1); d2, d3 = (g + 8, p), (g + 8, p + 1)
template <int dims>
struct AttendOnTensorCores {
  static constexpr int threads = 128, queries = 64, keys = 64;
  static_assert(dims % 16 == 0);
  const Bf16* qkv;
  Bf16* out;
  AttentionSizes sizes;

  [[nodiscard]] FABRICAST_DEVICE_CODE static std::int64_t blocks(const AttentionSizes& sizes) {
    return (sizes.length + queries - 1) / queries * sizes.sequences * sizes.heads;
  }

  /// Rows are 8 elements longer than they need be: then the threads of a warp read from different banks.
  struct Tile {
    Bf16 key[keys][dims + 8], value[keys][dims + 8];
  };
  struct State {
    std::uint32_t query[dims / 16][4];
    float scores[keys / 8][4];
    std::uint32_t weights[keys / 16][4];
    float values[dims / 8][4];
    float highest[2], sum[2], block_highest[2], block_sum[2];   // of rows g and g + 8
    std::uint32_t b[2];
  };
  struct Fragments {
    float* d;
    const std::uint32_t *a, *b;
  };

  template <class Block>
  FABRICAST_DEVICE_CODE void operator()(Block& block, std::int64_t index) const {
    // Late queries see most keys: they start first.
    const std::int64_t of_all = sizes.sequences * sizes.heads, last = (sizes.length + queries - 1) / queries - 1;
    const std::int64_t first_query = (last - index / of_all) * queries;
    const std::int64_t head = index % sizes.heads, first_row = index % of_all / sizes.heads * sizes.length;
    typename Block::template PerThread<State> state(block);
    Tile* const tile = block.template shared<Tile>();
    block.each([&](int t) { start(state[t], t, first_row, first_query, head); });
    const std::int64_t seen = first_query + queries;
    const std::int64_t visible = sizes.causal && seen < sizes.length ? seen : sizes.length;
    for (std::int64_t first_key = 0; first_key < visible; first_key += keys) {
      block.each([&](int t) { load(*tile, t, first_row, first_key, head); });
      multiply_scores(block, state, *tile);
      soften(block, state, first_query, first_key);
      add_values(block, state, *tile);
      block.each([](int) {});   // all have read the tile
    }
    block.each([&](int t) { write(state[t], t, first_row, first_query, head); });
  }

 private:
  /// The row of the block's queries that thread t has in the upper halves of its fragments; the lower halves have that 8 further on.
  [[nodiscard]] FABRICAST_DEVICE_CODE static int row_of(int t) { return t / warp_size * 16 + t % warp_size / 4; }
  [[nodiscard]] FABRICAST_DEVICE_CODE static int pair_of(int t) { return 2 * (t % 4); }

  [[nodiscard]] FABRICAST_DEVICE_CODE static std::uint32_t pair_at(const Bf16* place) { return *reinterpret_cast<const std::uint32_t*>(place); }

  FABRICAST_DEVICE_CODE void start(State& s, int t, std::int64_t first_row, std::int64_t first_query, std::int64_t head) const {
    for (int k = 0; k < dims / 16; ++k) {
      for (int i = 0; i < 4; ++i) {
        const std::int64_t query = first_query + row_of(t) + i % 2 * 8;
        const Bf16* const place = qkv + (first_row + query) * sizes.row_width() + head * dims + 16 * k + pair_of(t) + i / 2 * 8;
        s.query[k][i] = query < sizes.length ? pair_at(place) : 0;
      }
    }
    for (int n = 0; n < dims / 8; ++n) {
      for (int i = 0; i < 4; ++i) s.values[n][i] = 0.0F;
    }
    for (int i = 0; i < 2; ++i) {
      s.highest[i] = -INFINITY;
      s.sum[i] = 0.0F;
    }
  }

  FABRICAST_DEVICE_CODE void load(Tile& tile, int t, std::int64_t first_row, std::int64_t first_key, std::int64_t head) const {
    using Unit = Pack<Bf16>;
    constexpr int packs = dims / Unit::count;
    for (int i = t; i < keys * packs; i += threads) {
      const int key = i / packs, column = i % packs * Unit::count;
      const bool exists = first_key + key < sizes.length;
      const Bf16* const row = qkv + (first_row + first_key + key) * sizes.row_width() + column;
      *units<Unit>(&tile.key[key][column]) = exists ? *units<Unit>(row + sizes.key_column(head)) : Unit{};
      *units<Unit>(&tile.value[key][column]) = exists ? *units<Unit>(row + sizes.value_column(head)) : Unit{};
    }
  }

  /// scores = queries · keysᵀ
  template <class Block, class States>
  FABRICAST_DEVICE_CODE static void multiply_scores(Block& block, States& state, const Tile& tile) {
    for (int n = 0; n < keys / 8; ++n) {
      block.each_alone([&](int t) {
        for (float& score : state[t].scores[n]) score = 0.0F;
      });
      for (int k = 0; k < dims / 16; ++k) {
        block.each_alone([&](int t) {
          const Bf16* const key = &tile.key[8 * n + t % warp_size / 4][16 * k + pair_of(t)];
          state[t].b[0] = pair_at(key);
          state[t].b[1] = pair_at(key + 8);
        });
        block.mma(state, [=](State& s) { return Fragments{s.scores[n], s.query[k], s.b}; });
      }
    }
  }

  /// From scores to weights exp(score - highest so far); what was summed before shrinks to the new highest.
  template <class Block, class States>
  FABRICAST_DEVICE_CODE void soften(Block& block, States& state, std::int64_t first_query, std::int64_t first_key) const {
    constexpr float log2_e = 1.44269504F;
    const float scale = log2_e / std::sqrt(static_cast<float>(dims));
    block.each_alone([&](int t) {
      State& s = state[t];
      for (int i = 0; i < 2; ++i) s.block_highest[i] = -INFINITY;
      for (int n = 0; n < keys / 8; ++n) {
        for (int i = 0; i < 4; ++i) {
          const std::int64_t key = first_key + 8 * n + pair_of(t) + i % 2, query = first_query + row_of(t) + i / 2 * 8;
          const bool is_hidden = key >= sizes.length || (sizes.causal && key > query);
          s.scores[n][i] = is_hidden ? -INFINITY : s.scores[n][i] * scale;
          if (s.scores[n][i] > s.block_highest[i / 2]) s.block_highest[i / 2] = s.scores[n][i];
        }
      }
    });
    for (int i = 0; i < 2; ++i) block.quad_maximum(state, [=](State& s) -> float& { return s.block_highest[i]; });
    block.each_alone([&](int t) {
      State& s = state[t];
      for (int i = 0; i < 2; ++i) {
        const float highest = s.block_highest[i] > s.highest[i] ? s.block_highest[i] : s.highest[i];
        const float shrink = exp2f(s.highest[i] - highest);
        s.highest[i] = highest;
        s.sum[i] *= shrink;
        s.block_sum[i] = 0.0F;
        for (int n = 0; n < dims / 8; ++n) {
          s.values[n][2 * i] *= shrink;
          s.values[n][2 * i + 1] *= shrink;
        }
      }
      for (int n = 0; n < keys / 8; ++n) {
        for (int i = 0; i < 4; ++i) {
          s.scores[n][i] = exp2f(s.scores[n][i] - s.highest[i / 2]);
          s.block_sum[i / 2] += s.scores[n][i];
        }
        // Keys 8n … 8n + 7 are the left (even n) or right half of the next product's sixteen.
        s.weights[n / 2][n % 2 * 2] = bf16_pair(s.scores[n][0], s.scores[n][1]);
        s.weights[n / 2][n % 2 * 2 + 1] = bf16_pair(s.scores[n][2], s.scores[n][3]);
      }
    });
    for (int i = 0; i < 2; ++i) block.quad_sum(state, [=](State& s) -> float& { return s.block_sum[i]; });
    block.each_alone([&](int t) {
      for (int i = 0; i < 2; ++i) state[t].sum[i] += state[t].block_sum[i];
    });
  }

  /// values += weights · value tile
  template <class Block, class States>
  FABRICAST_DEVICE_CODE static void add_values(Block& block, States& state, const Tile& tile) {
    for (int n = 0; n < dims / 8; ++n) {
      for (int k = 0; k < keys / 16; ++k) {
        block.each_alone([&](int t) {
          const int column = 8 * n + t % warp_size / 4, row = 16 * k + pair_of(t);
          for (int i = 0; i < 2; ++i) {
            const std::uint32_t low = tile.value[row + 8 * i][column].bits, high = tile.value[row + 8 * i + 1][column].bits;
            state[t].b[i] = low | high << 16U;
          }
        });
        block.mma(state, [=](State& s) { return Fragments{s.values[n], s.weights[k], s.b}; });
      }
    }
  }

  FABRICAST_DEVICE_CODE void write(const State& s, int t, std::int64_t first_row, std::int64_t first_query, std::int64_t head) const {
    for (int i = 0; i < 2; ++i) {
      const std::int64_t query = first_query + row_of(t) + 8 * i;
      if (query >= sizes.length) continue;
      Bf16* const place = out + (first_row + query) * sizes.heads * dims + head * dims + pair_of(t);
      for (int n = 0; n < dims / 8; ++n) {
        *reinterpret_cast<std::uint32_t*>(place + 8 * n) = bf16_pair(s.values[n][2 * i] / s.sum[i], s.values[n][2 * i + 1] / s.sum[i]);
      }
    }
  }
};

}  // namespace fabricast::runtime::cuda
