#include "hardware_models/kernels.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace fabricast::hw {

namespace {

constexpr std::int64_t router_choice_bytes = 4 + 4;  // a chosen expert's weight (fp32) and index (int32)

std::int64_t total(const ExpertRowCounts& rows) { return std::accumulate(rows.begin(), rows.end(), std::int64_t{0}); }

double multiply_adds(double count) { return 2.0 * count; }

double product(std::int64_t a, std::int64_t b, std::int64_t c) {
  return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
}

/// (query, key) pairs that one head of one sequence scores. Causal, the last query sees every key and each earlier one key fewer:
/// q·kv − q²/2, the diagonal counted half, hence exactly half the square where q = kv. Queries before the first key see nothing.
double scored_pairs(const Attention<std::int64_t>& work) {
  const double keys = static_cast<double>(work.kv_length);
  if (!work.causal) return static_cast<double>(work.query_length) * keys;
  const double queries = static_cast<double>(std::min(work.query_length, work.kv_length));
  return queries * keys - queries * queries / 2.0;
}

/// FLOP on the tensor cores, by shape.
struct FlopOf {
  double operator()(const Gemm<std::int64_t>& work) const { return multiply_adds(product(work.m, work.n, work.k)); }
  double operator()(const GroupedGemm<ExpertRowCounts>& work) const { return multiply_adds(product(total(work.rows), work.n, work.k)); }
  // Two products, Q·Kᵀ and P·V, each a multiply-add per pair and element of the head.
  double operator()(const Attention<std::int64_t>& work) const {
    return 2.0 * multiply_adds(product(work.sequences, work.heads, work.head_dim)) * scored_pairs(work);
  }
  double operator()(const Router<std::int64_t>& work) const { return multiply_adds(product(work.rows, work.width, work.experts)); }
  double operator()(const Embedding<std::int64_t>&) const { return 0.0; }
  double operator()(const RmsNorm<std::int64_t>&) const { return 0.0; }
  double operator()(const Rope<std::int64_t>&) const { return 0.0; }
  double operator()(const ResidualAdd<std::int64_t>&) const { return 0.0; }
  double operator()(const Activation<std::int64_t>&) const { return 0.0; }
  double operator()(const Permute<std::int64_t>&) const { return 0.0; }
  double operator()(const WeightedSum<std::int64_t>&) const { return 0.0; }
};

/// An fp8 GEMM writes bf16.
std::int64_t output_bytes(Precision precision) { return std::max(element_bytes(precision), element_bytes(Precision::bf16)); }

/// Bytes of a product in[m,k] · weight[k,n]; no rows touch nothing, the weight included.
std::int64_t gemm_bytes(std::int64_t m, std::int64_t n, std::int64_t k, Precision precision) {
  if (m == 0) return 0;
  return (m * k + k * n) * element_bytes(precision) + m * n * output_bytes(precision);
}

struct TrafficOf {
  std::int64_t operator()(const Gemm<std::int64_t>& work) const { return gemm_bytes(work.m, work.n, work.k, work.precision); }
  std::int64_t operator()(const GroupedGemm<ExpertRowCounts>& work) const {
    std::int64_t bytes = 0;
    for (const std::int64_t rows : work.rows) bytes += gemm_bytes(rows, work.n, work.k, work.precision);
    return bytes;
  }
  std::int64_t operator()(const Attention<std::int64_t>& work) const {
    const std::int64_t queries = work.query_length * work.heads;
    const std::int64_t keys = work.kv_length * work.kv_heads;
    return work.sequences * work.head_dim *
           (queries * (element_bytes(work.precision) + output_bytes(work.precision)) + 2 * keys * element_bytes(work.precision));
  }
  // Rows that occur twice are read once, so never more than the table; the ids themselves are too small to count.
  std::int64_t operator()(const Embedding<std::int64_t>& work) const {
    return (std::min(work.tokens, work.vocabulary) + work.tokens) * work.width * element_bytes(work.precision);
  }
  std::int64_t operator()(const RmsNorm<std::int64_t>& work) const {
    if (work.rows == 0) return 0;
    return (2 * work.rows + 1) * work.width * element_bytes(work.precision);
  }
  std::int64_t operator()(const Rope<std::int64_t>& work) const { return 2 * work.rows * work.width * element_bytes(work.precision); }
  std::int64_t operator()(const ResidualAdd<std::int64_t>& work) const {
    return 3 * work.rows * work.width * element_bytes(work.precision);
  }
  std::int64_t operator()(const Activation<std::int64_t>& work) const {
    return (work.gated ? 3 : 2) * work.rows * work.width * element_bytes(work.precision);
  }
  std::int64_t operator()(const Router<std::int64_t>& work) const {
    if (work.rows == 0) return 0;
    return (work.rows + work.experts) * work.width * element_bytes(work.precision) + work.rows * work.top_k * router_choice_bytes;
  }
  std::int64_t operator()(const Permute<std::int64_t>& work) const { return 2 * work.rows * work.width * element_bytes(work.precision); }
  std::int64_t operator()(const WeightedSum<std::int64_t>& work) const {
    return (work.rows + work.tokens) * work.width * element_bytes(work.precision);
  }
};

}  // namespace

std::int64_t element_bytes(Precision precision) {
  static constexpr std::array<std::int64_t, 4> bytes{4, 2, 2, 1};
  return bytes[static_cast<std::size_t>(precision)];
}

std::string_view name_of(Precision precision) {
  static constexpr std::array<std::string_view, 4> names{"fp32", "fp16", "bf16", "fp8"};
  return names[static_cast<std::size_t>(precision)];
}

Flop flop(const Kernel& kernel) { return Flop(std::visit(FlopOf{}, kernel)); }

Flop model_flop(const Kernel& kernel) { return std::holds_alternative<Router<std::int64_t>>(kernel) ? Flop(0) : flop(kernel); }

Bytes memory_traffic(const Kernel& kernel) { return Bytes(std::visit(TrafficOf{}, kernel)); }

}  // namespace fabricast::hw
