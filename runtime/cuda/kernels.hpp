// Launches of our own kernels on a stream: arguments are device addresses and sizes. Includes no CUDA header: a stream is the runtime's
// cudaStream_t. Knows no ops, no ranks and no buffers. Launches do not wait; a launch that fails throws CudaError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/cuda/attention_programs.hpp"
#include "runtime/cuda/routing_programs.hpp"
#include "runtime/random_values.hpp"

struct CUstream_st;

namespace fabricast::runtime::cuda {

using StreamHandle = CUstream_st*;

/// Contiguous rows of elements, stored in fp32 or bf16 (`is_bf16`).
struct Rows {
  std::byte* data;
  std::int64_t rows, width;
  bool is_bf16;
};

void launch_add(const Rows& a, const Rows& b, const Rows& out, StreamHandle stream);
/// in has twice the width of out.
void launch_silu_gate(const Rows& in, const Rows& out, StreamHandle stream);
void launch_gelu(const Rows& in, const Rows& out, StreamHandle stream);
void launch_rms_norm(const Rows& in, const std::byte* weight, float epsilon, const Rows& out, StreamHandle stream);
/// turns: [position][head_dim / 2] pairs of cosine and sine, for every position of a sequence that occurs.
void launch_rotate(const Rows& qk, const float* turns, std::int64_t heads, std::int64_t head_dim, std::int64_t sequence_length,
                   StreamHandle stream);
void launch_embed(const std::int32_t* ids, const Rows& table, std::int64_t first_id, const Rows& out, StreamHandle stream);

/// qkv has (heads + 2 · kv_heads) · head_dim columns.
void launch_attention(const Rows& qkv, const AttentionSizes& sizes, const Rows& out, StreamHandle stream);

void launch_choose_experts(const ChooseExperts& program, std::int64_t rows, StreamHandle stream);
void launch_permute(const std::byte* in, const std::int32_t* rows, std::byte* out, std::int64_t count, std::int64_t row_bytes,
                    StreamHandle stream);
void launch_sum_weighted(const std::byte* in, const std::int32_t* places, const Choice* choices, std::int64_t top_k, const Rows& out,
                         StreamHandle stream);

/// Reads all of `in` (fp32, whole packs), and writes a sum for each of blocks_that_read(elements) blocks.
[[nodiscard]] std::int64_t blocks_that_read(std::int64_t elements);
void launch_read(const Rows& in, float* sums, StreamHandle stream);

void launch_copies(const Copy* copies, std::int64_t count, StreamHandle stream);
/// out[i] = Σ inputs[m][first + i], elements of out.rows · out.width.
void launch_sum_members(const std::byte* const* inputs, std::int32_t members, std::int64_t first, const Rows& out, StreamHandle stream);

/// The slice of a full matrix: rows from first_row, runs of columns side by side.
struct WeightRuns {
  static constexpr int most = 4;
  std::int64_t first[most], count[most];
  int runs;
};
void launch_fill_weights(const RandomWeights& matrix, const WeightRuns& columns, std::int64_t first_row, bool is_transposed, const Rows& out,
                         StreamHandle stream);
/// Uniform in [-1, 1).
void launch_fill_random(std::uint64_t seed, const Rows& out, StreamHandle stream);
void launch_fill_bytes(std::byte* data, int value, std::size_t bytes, StreamHandle stream);

/// `ctas` blocks that write random numbers to `place` over and over, `bytes` in all, evenly over `nanoseconds`.
void launch_traffic(std::uint64_t seed, const Rows& place, std::int64_t bytes, std::int32_t ctas, std::int64_t nanoseconds,
                    StreamHandle stream);
/// Nothing, for so long: meanwhile the host gets ahead of the device.
void launch_pause(std::int64_t nanoseconds, StreamHandle stream);

}  // namespace fabricast::runtime::cuda
