// The order in which a pipeline stage works through its micro-batches. Pure; knows no model, no ops and no time.
#pragma once

#include <cstdint>
#include <vector>

namespace fabricast::strategy {

enum class Pass : std::uint8_t { forward, backward };

/// One visit of one micro-batch to one of the stage's model chunks (chunk 0 unless stages are interleaved).
struct PipelineUnit {
  Pass pass;
  std::int32_t micro_batch, chunk;
  friend bool operator==(const PipelineUnit&, const PipelineUnit&) = default;
};

/// Inference: micro-batches in groups of `stages`, each group through chunk 0, 1, …; the same for every stage. With one chunk: 0, 1, 2, …
/// Idle share with equal stages: (p-1)/(v·m+p-1).
[[nodiscard]] std::vector<PipelineUnit> forward_order(std::int32_t stages, std::int32_t micro_batches, std::int32_t chunks);

/// All forward passes, then all backward passes (Huang et al. 2019). Idle share with equal stages: (p-1)/(m+p-1).
[[nodiscard]] std::vector<PipelineUnit> gpipe_order(std::int32_t micro_batches);

/// One forward, one backward after a warm-up of stages-1-stage forwards (Narayanan et al. 2019). Idle share: (p-1)/(m+p-1).
[[nodiscard]] std::vector<PipelineUnit> one_forward_one_backward_order(std::int32_t stage, std::int32_t stages, std::int32_t micro_batches);

/// 1F1B over `chunks` model chunks per stage (Narayanan et al. 2021): warm-up of 2(p-1-stage) + (v-1)p units. micro_batches is a multiple of
/// stages. Idle share: (p-1)/(v·m+p-1).
[[nodiscard]] std::vector<PipelineUnit> interleaved_order(std::int32_t stage, std::int32_t stages, std::int32_t micro_batches,
                                                          std::int32_t chunks);

}  // namespace fabricast::strategy
