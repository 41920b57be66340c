// Shapes of work on one GPU: what a kernel computes, how many FLOP that is and how many bytes it moves through device memory.
// Knows no hardware rates. `Rows` is std::int64_t in a resolved shape and ir::Extent in a schedule, where a row count may depend on
// the routing plan.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::hw {

enum class Precision : std::uint8_t { fp32, fp16, bf16, fp8 };

[[nodiscard]] std::int64_t element_bytes(Precision precision);
[[nodiscard]] std::string_view name_of(Precision precision);

/// out[m,n] = in[m,k] · weight[k,n].
template <class Rows> struct Gemm { Rows m; std::int64_t n, k; Precision precision; };

/// For each local expert e: out[rows_e,n] = in[rows_e,k] · weight_e[k,n]. `ExpertRows` is a vector of rows per local expert when resolved.
/// A library tunes its tile to the even rows of an expert; `tuned_rows` says how many those were, 0 that the tile suits the rows as they are.
template <class ExpertRows> struct GroupedGemm { ExpertRows rows; std::int64_t n, k; Precision precision; std::int64_t tuned_rows = 0; };

/// Fused attention: q[sequences,query_length,heads,head_dim] over k,v[sequences,kv_length,kv_heads,head_dim].
template <class Rows> struct Attention {
  Rows sequences;
  std::int64_t query_length, kv_length, heads, kv_heads, head_dim;
  bool causal;
  Precision precision;
};

/// out[tokens,width] = table[token,:] for ids in this rank's vocabulary shard, else 0. vocabulary is the shard's rows.
template <class Rows> struct Embedding { Rows tokens; std::int64_t width, vocabulary; Precision precision; };
template <class Rows> struct RmsNorm { Rows rows; std::int64_t width; Precision precision; };
/// Rotates q and k in place: width = (heads + kv_heads) · head_dim of this rank. Row r holds position r mod sequence_length.
template <class Rows> struct Rope { Rows rows; std::int64_t width; Precision precision; std::int64_t head_dim = 0, sequence_length = 0; };
/// out = a + b.
template <class Rows> struct ResidualAdd { Rows rows; std::int64_t width; Precision precision; };
/// Gated: out[rows,width] = silu(gate) · up from in[rows, 2·width]; else out = gelu(in[rows,width]).
template <class Rows> struct Activation { Rows rows; std::int64_t width; bool gated; Precision precision; };
/// logits[rows,experts] = in[rows,width] · weight, softmax, top-k: weights and indices, [rows, top_k].
template <class Rows> struct Router { Rows rows; std::int64_t width, experts, top_k; Precision precision; };
/// The order that a permutation makes: tokens copied to their experts by destination rank, expert and token; arrived rows sorted by expert;
/// and those back as they arrived.
enum class RowOrder : std::uint8_t { by_destination, by_expert, by_arrival };

/// Copies rows into another order: reads `rows` rows, writes `rows` rows of width elements.
template <class Rows> struct Permute { Rows rows; std::int64_t width; Precision precision; RowOrder order = RowOrder::by_destination; };
/// out[tokens,width] = Σ_j weight_j · in[row of (token, j), :], j < top_k. `rows` = rows read (tokens · top_k, fewer if dropped).
template <class Rows> struct WeightedSum { Rows tokens, rows; std::int64_t width; Precision precision; };

using ExpertRowCounts = std::vector<std::int64_t>;

/// A resolved shape, ready to be priced or run. Closed: visit it without a generic fallback.
using Kernel = std::variant<Gemm<std::int64_t>, GroupedGemm<ExpertRowCounts>, Attention<std::int64_t>, Embedding<std::int64_t>,
                            RmsNorm<std::int64_t>, Rope<std::int64_t>, ResidualAdd<std::int64_t>, Activation<std::int64_t>,
                            Router<std::int64_t>, Permute<std::int64_t>, WeightedSum<std::int64_t>>;

/// FLOP executed on the tensor cores (2 per multiply-add). Causal attention counts half the square. Elementwise kernels count 0.
[[nodiscard]] Flop flop(const Kernel& kernel);

/// The share of flop() that model FLOP (hence MFU) counts: all but the router, as Megatron-LM counts.
[[nodiscard]] Flop model_flop(const Kernel& kernel);

/// Bytes read plus written in device memory, each operand once (fused attention: Q, K, V and O only).
[[nodiscard]] Bytes memory_traffic(const Kernel& kernel);

}  // namespace fabricast::hw
