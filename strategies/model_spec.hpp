// A transformer, as plain data read from configs/models. Knows no parallelism.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/kernels.hpp"

namespace fabricast::strategy {

/// swiglu has three matrices (gate, up, down); gelu two (up, down).
enum class MlpKind : std::uint8_t { swiglu, gelu };

struct MoeSpec {
  std::int64_t experts_per_layer = 0, top_k = 0, d_ff = 0;
  std::optional<hw::Precision> dispatch_precision{};   // of rows on their way to the experts; absent: the model's
};

struct ModelSpec {
  std::string name;
  std::int64_t layers = 0, d_model = 0, n_heads = 0, n_kv_heads = 0, d_head = 0, vocab_size = 0, max_sequence_length = 0;
  std::int64_t d_ff = 0;                         // of dense layers; unused where every layer is MoE
  MlpKind mlp = MlpKind::swiglu;
  hw::Precision precision = hw::Precision::bf16;
  std::optional<hw::Precision> gemm_precision;   // of what the layers' matrix products read, weights and rows; absent: the model's
  bool causal = true;
  bool tied_embeddings = false;                  // the head reuses the embedding table
  std::optional<MoeSpec> moe;                    // absent: dense
  std::int64_t moe_every = 1, moe_first = 0;     // layer l is MoE if l >= moe_first and (l - moe_first) % moe_every == 0

  [[nodiscard]] hw::Precision product_precision() const { return gemm_precision.value_or(precision); }
  [[nodiscard]] hw::Precision dispatch_precision() const { return moe && moe->dispatch_precision ? *moe->dispatch_precision : precision; }
  [[nodiscard]] bool is_moe_layer(std::int64_t layer) const {
    return moe && layer >= moe_first && (layer - moe_first) % moe_every == 0;
  }
};

}  // namespace fabricast::strategy
