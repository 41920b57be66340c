// How aiconfigurator's benchmark of MoE layers routes its tokens, and which of its rows may have run another layer's kernel. Knows no times.
#pragma once

#include <cstdint>
#include <string_view>

#include "hardware_models/kernels.hpp"

namespace fabricast::validation {

/// One GPU's share of a layer: `tokens` are presented to all `experts`, which lie on `ranks` ranks; `inner` is a rank's width.
struct BenchmarkLayer {
  std::int64_t tokens, hidden, inner, top_k, experts, ranks, tensor;
};

/// Rows of each expert of the first rank: choice i of token t is expert t + i·stride, or t·stride/tokens + i·stride where there are fewer
/// tokens than `stride` = experts / top_k, modulo experts.
[[nodiscard]] hw::ExpertRowCounts balanced_rows(const BenchmarkLayer& layer);

/// Rows of each expert of the rank that has most: an expert's share is drawn from the density ∝ x^-alpha. Draws by `seed` stand for the
/// benchmark's, whose seeds are not published.
[[nodiscard]] hw::ExpertRowCounts power_law_rows(const BenchmarkLayer& layer, double alpha, std::uint64_t seed);

/// Rows of an expert that the benchmark's library tunes its kernels to: every expert's even share, at least one.
[[nodiscard]] std::int64_t tuned_rows(const BenchmarkLayer& layer);

/// The benchmark keeps tuned kernels in files named by precision, hidden and inner width and experts of a rank, and loads the first file whose
/// name begins with the layer's. That may be another layer's, of other top_k or degrees, whose choices are not found for this one: then the
/// library runs its default kernel, up to ten times slower. True where the benchmark times such another layer.
[[nodiscard]] bool may_share_tuning(const BenchmarkLayer& layer);

}  // namespace fabricast::validation
