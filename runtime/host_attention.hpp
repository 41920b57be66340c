// Attention on the host, blocked with a running softmax, so that memory is linear in the sequence length. Wraps Eigen. Knows no ops.
#pragma once

#include <cstdint>

#include "runtime/matrix.hpp"

namespace fabricast::runtime {

struct AttentionShape {
  std::int64_t sequence_length, heads, kv_heads, head_dim;
  bool causal;
};

/// qkv[sequences · length, (heads + 2 · kv_heads) · head_dim]: q of all heads, k, v. out[sequences · length, heads · head_dim]. Head h
/// reads the keys and values of head h · kv_heads / heads; scores are scaled by 1/√head_dim.
template <class Element>
void attend(const Matrix<Element>& qkv, const AttentionShape& shape, const Matrix<Element>& out);

extern template void attend<float>(const Matrix<float>&, const AttentionShape&, const Matrix<float>&);
extern template void attend<Bf16>(const Matrix<Bf16>&, const AttentionShape&, const Matrix<Bf16>&);

}  // namespace fabricast::runtime
