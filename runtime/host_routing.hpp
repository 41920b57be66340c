// Kernels on the host around the experts: router weights, rows into another order, and the weighted sum of what came back. Knows no ops, no
// ranks and no routing plan: who goes where is an argument.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/matrix.hpp"

namespace fabricast::runtime {

/// What the router writes for each (token, choice), 8 bytes.
struct RouterChoice {
  float weight;
  std::int32_t expert;
};

/// Softmax of in · weight over all experts; the weights of the given experts, [token][choice], renormalised to a sum of 1 over those kept
/// (negative: dropped, weight 0).
template <class Element>
void route(const Matrix<Element>& in, const Matrix<Element>& weight, std::span<const std::int32_t> experts,
           const Matrix<RouterChoice>& out);

/// Row i of `out` is row rows[i] of `in`.
void permute(const View& in, std::span<const std::int32_t> rows, const View& out);

/// out[token] = Σ over choices of weight · in[places[token · top_k + choice]], in the order of choices; places < 0 count nothing.
template <class Element>
void sum_weighted(const Matrix<Element>& in, std::span<const std::int32_t> places, const Matrix<RouterChoice>& choices,
                  const Matrix<Element>& out);

}  // namespace fabricast::runtime
