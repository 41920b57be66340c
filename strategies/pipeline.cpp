#include "strategies/pipeline.hpp"

#include <algorithm>
#include <cassert>

namespace fabricast::strategy {
namespace {

/// The i-th unit of a pass when micro-batches go in groups of `stages` through every chunk; backward visits chunks in reverse.
PipelineUnit unit_at(Pass pass, std::int32_t i, std::int32_t stages, std::int32_t chunks) {
  if (chunks == 1) return {pass, i, 0};
  const std::int32_t group_units = stages * chunks;
  const std::int32_t chunk = i % group_units / stages;
  const std::int32_t micro_batch = i / group_units * stages + i % stages;
  return {pass, micro_batch, pass == Pass::forward ? chunk : chunks - 1 - chunk};
}

/// `warm_up` forwards, then forward and backward in turn, then the backwards that are left.
std::vector<PipelineUnit> alternate(std::int32_t warm_up, std::int32_t stages, std::int32_t micro_batches, std::int32_t chunks) {
  const std::int32_t total = micro_batches * chunks;
  warm_up = std::min(warm_up, total);
  std::vector<PipelineUnit> order;
  order.reserve(static_cast<std::size_t>(2 * total));
  std::int32_t forwards = 0, backwards = 0;
  const auto forward = [&] { order.push_back(unit_at(Pass::forward, forwards++, stages, chunks)); };
  const auto backward = [&] { order.push_back(unit_at(Pass::backward, backwards++, stages, chunks)); };
  while (forwards < warm_up) forward();
  while (forwards < total) {
    forward();
    backward();
  }
  while (backwards < total) backward();
  return order;
}

}  // namespace

std::vector<PipelineUnit> forward_order(std::int32_t stages, std::int32_t micro_batches, std::int32_t chunks) {
  std::vector<PipelineUnit> order;
  for (std::int32_t i = 0; i < micro_batches * chunks; ++i) order.push_back(unit_at(Pass::forward, i, stages, chunks));
  return order;
}

std::vector<PipelineUnit> gpipe_order(std::int32_t micro_batches) { return alternate(micro_batches, 1, micro_batches, 1); }

std::vector<PipelineUnit> one_forward_one_backward_order(std::int32_t stage, std::int32_t stages, std::int32_t micro_batches) {
  return alternate(stages - 1 - stage, stages, micro_batches, 1);
}

std::vector<PipelineUnit> interleaved_order(std::int32_t stage, std::int32_t stages, std::int32_t micro_batches, std::int32_t chunks) {
  if (chunks == 1) return one_forward_one_backward_order(stage, stages, micro_batches);
  assert(micro_batches % stages == 0 && "interleaving needs whole groups of micro-batches");
  return alternate(2 * (stages - 1 - stage) + (chunks - 1) * stages, stages, micro_batches, chunks);
}

}  // namespace fabricast::strategy
