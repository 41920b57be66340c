// Attention as a graph of operations on tensors: the form in which cuDNN recognises it and runs it as one kernel. Data only; knows no cuDNN
// and no device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/cuda/attention_programs.hpp"

namespace fabricast::runtime::cuda {

/// A tensor's number: its place in AttentionGraph::tensors.
using GraphTensorId = std::int32_t;
inline constexpr GraphTensorId no_tensor = -1;

struct GraphTensor {
  enum class Type : std::uint8_t { bf16, fp32, int32, boolean };
  /// between: made by one operation for another, never in memory; value: one number that the host hands over.
  enum class Place : std::uint8_t { memory, between, value };
  Type type;
  Place place;
  std::array<std::int64_t, 4> sizes, strides;   // sequence, head, row, column; strides in elements
};

/// out[s, h, i, j] of operands a, b, c, where an operand of size 1 along a dimension is the same all along it.
/// product: Σ_k a[s, h, i, k] · b[s, h', k, j], of h' the head of b, which may have fewer, that head h of a shares
/// row, column: i, j. at_least: a ≥ b. select: c ? a : b. highest, sum: over j. The rest as named.
enum class GraphOperation : std::uint8_t { product, times, row, column, at_least, select, highest, minus, exp, sum, log, plus, divide };

struct GraphNode {
  GraphOperation operation;
  std::array<GraphTensorId, 3> in;               // no_tensor beyond what the operation takes
  GraphTensorId out;
};

struct AttentionGraph {
  std::vector<GraphTensor> tensors;
  std::vector<GraphNode> nodes;                  // each after those that make its operands
  GraphTensorId query, key, value, out;          // bf16; the key's rows and columns are exchanged: product takes it as it is
  GraphTensorId scale;                           // value: 1 / √head_dim
  GraphTensorId hidden = no_tensor;              // value: the score of a key that is not seen; only where causal
};

/// Of q, k and v side by side in bf16 rows, as AttentionSizes has them. Sums and the softmax are fp32; weights are rounded to bf16.
[[nodiscard]] AttentionGraph attention_graph(const AttentionSizes& sizes);

/// The values that the graph takes.
struct AttentionNumbers {
  float scale, hidden;
};
[[nodiscard]] AttentionNumbers attention_numbers(const AttentionSizes& sizes);

/// Where a tensor in memory, or a value, is.
struct GraphOperand {
  GraphTensorId tensor;
  void* place;
};
/// All of them, of q, k and v side by side in `qkv`.
[[nodiscard]] std::vector<GraphOperand> attention_operands(const AttentionGraph& graph, const AttentionSizes& sizes, AttentionNumbers& numbers,
                                                           std::byte* qkv, std::byte* out);

}  // namespace fabricast::runtime::cuda
