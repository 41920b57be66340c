// The forward pass of a transformer on one rank, in fp64, written to be read: what every executor's numbers are held against. Knows no
// schedule, no shards and no kernels; it shares with them the random weights only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "hardware_models/kernels.hpp"

namespace fabricast::runtime {

struct MoeShape {
  std::int64_t experts = 0, top_k = 0, d_ff = 0;
};

/// The sizes of a model, free of any parallelism.
struct ModelShape {
  std::int64_t layers = 0, d_model = 0, heads = 0, kv_heads = 0, d_head = 0, vocabulary = 0;
  std::int64_t d_ff = 0;                                // of dense layers
  bool gated = true;                                    // SwiGLU, else GELU
  bool causal = true;
  bool tied_embeddings = false;
  hw::Precision precision = hw::Precision::fp32;        // in which weights are stored: the model is the rounded ones
  std::optional<MoeShape> moe;
  std::vector<bool> is_moe;                             // by layer
};

/// All sequences of a step, one after the other. experts[layer][token · top_k + choice]; negative: dropped; empty for dense layers.
struct ReferenceInput {
  std::int64_t sequence_length = 0;
  std::vector<std::int32_t> tokens;
  std::vector<std::vector<std::int32_t>> experts;
  bool head_on_all_tokens = true;                       // else on the last of each sequence
};

/// [tokens (or sequences), vocabulary]. Throws std::invalid_argument where the input is not of the model's sizes.
[[nodiscard]] std::vector<double> reference_logits(const ModelShape& model, std::uint64_t seed, const ReferenceInput& input);

}  // namespace fabricast::runtime
