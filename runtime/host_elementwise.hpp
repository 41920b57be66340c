// Kernels on the host that touch each element once: stored in fp32 or bf16, computed in fp32. Knows no ops and no ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/matrix.hpp"

namespace fabricast::runtime {

constexpr float norm_epsilon = 1e-5F;      // added to the mean square, as in Llama's configuration
constexpr double rope_base = 10000.0;      // Su et al. 2021

/// out = table[id - first_id, :], or 0 where the id lies outside the table.
template <class Element>
void embed(std::span<const std::int32_t> ids, const Matrix<Element>& table, std::int64_t first_id, const Matrix<Element>& out);

/// out = in / √(mean(in²) + ε) · weight.
template <class Element>
void rms_norm(const Matrix<Element>& in, const Element* weight, const Matrix<Element>& out);

/// By how much element i < d/2 of a head turns at a position: the angle position · base^(-2i/d), computed in fp64.
struct Turn {
  float cosine, sine;
};
/// [position][i]
[[nodiscard]] std::vector<Turn> rotary_turns(std::int64_t positions, std::int64_t head_dim);

/// Rotates the first `width` columns, head by head, in place. Element i < d/2 of a head and element i + d/2 turn by position ·
/// base^(-2i/d): the half-split pairing of GPT-NeoX and Llama checkpoints, not the interleaved one of the paper. Row r holds position r mod
/// sequence_length.
template <class Element>
void rotate(const Matrix<Element>& qk, std::int64_t width, std::int64_t head_dim, std::int64_t sequence_length);

template <class Element>
void add(const Matrix<Element>& a, const Matrix<Element>& b, const Matrix<Element>& out);

/// in = [gate | up]: out = silu(gate) · up.
template <class Element>
void silu_gate(const Matrix<Element>& in, const Matrix<Element>& out);

/// The tanh form of Hendrycks and Gimpel 2016.
template <class Element>
void gelu(const Matrix<Element>& in, const Matrix<Element>& out);

}  // namespace fabricast::runtime
