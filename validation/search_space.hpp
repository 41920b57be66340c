// Every strategy that makes sense for a model on a cluster, family by family. Knows no cost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strategies/degrees.hpp"
#include "validation/search_spec.hpp"

namespace fabricast::validation {

/// Strategies that differ in placement and algorithms alone, so that they compute and hold the same.
struct StrategyFamily {
  strategy::StrategySpec strategy;                          // axis order and algorithms at their defaults
  std::int64_t micro_batches = 1;
  std::vector<std::vector<ir::Axis>> axis_orders;           // empty: the default order
  std::vector<strategy::Algorithms> algorithms;

  [[nodiscard]] std::size_t size() const { return axis_orders.size() * algorithms.size(); }
};

struct Refusal {
  std::string why;                 // as derive_degrees says it of the first
  std::size_t families = 0;
};

struct StrategySpace {
  std::vector<StrategyFamily> families;
  std::vector<Refusal> refused;    // by the key at fault
};

/// Where the search leaves a choice open:
///   pipeline          divisors of the model's layers
///   virtual_pipeline  1; with stages also 2 and 4 chunks each, where the layers divide
///   tensor            divisors of n_heads up to the GPUs of a node
///   expert            divisors of experts_per_layer; its multiples with copies of experts (replicated). striped leaves ranks
///                     without work in every layer, and is left to those who ask for it
///   expert_tensor     divisors of moe.d_ff up to the GPUs of a node
///   micro_batches     divisors of a replica's sequences, up to 64 or 8 for each stage and chunk
///   overlap           1, 2, 4 and 8 chunks where the MoE layers communicate
///   expert_input      sequence_sharded; also replicated where expert_tensor = tensor
///   axis_order        tensor, data and pipeline in every order that differs
///   algorithms        tensor: automatic; expert: automatic, hierarchical and deduplicated. low_latency is left to those who ask for it: the buffers
///                     that its kernels reserve for every sender's most tokens are not counted
/// A degree that does not divide the GPUs is passed over in silence; what else the configuration forbids is refused.
[[nodiscard]] StrategySpace strategy_space(const SearchSpec& search);

}  // namespace fabricast::validation
