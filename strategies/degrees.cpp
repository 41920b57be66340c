#include "strategies/degrees.hpp"

#include <fmt/format.h>

#include "hardware_models/config_error.hpp"

namespace fabricast::strategy {
namespace {

[[noreturn]] void reject(const std::string& pointer, const std::string& message) { throw hw::ConfigError(message, pointer); }

void require_divides(std::int64_t divisor, const char* divisor_name, std::int64_t whole, const char* whole_name, const char* pointer) {
  if (whole % divisor == 0) return;
  reject(pointer, fmt::format("{} {} does not divide {} {}; choose a divisor of {}", divisor_name, divisor, whole_name, whole, whole));
}

/// The degree that fills the world, given the product of the others on its side.
std::int64_t derive(std::int64_t world, std::int64_t product, const std::optional<std::int64_t>& given, const char* name,
                    const char* factors, const char* pointer) {
  if (world % product != 0) {
    reject(pointer, fmt::format("{} = {} does not divide the cluster's {} GPUs; change a degree or the number of nodes", factors, product,
                                world));
  }
  const std::int64_t derived = world / product;
  if (given && *given != derived) {
    reject(fmt::format("/strategy/{}", name),
           fmt::format("{} {} contradicts {} GPUs / ({} = {}) = {}; leave it out or set {}", name, *given, world, factors, product, derived,
                       derived));
  }
  return derived;
}

void check_model(const Degrees& d, const StrategySpec& strategy, const ModelSpec& model) {
  require_divides(d.tensor, "tensor", model.n_heads, "n_heads", "/strategy/tensor");
  if (model.n_kv_heads % d.tensor != 0 && d.tensor % model.n_kv_heads != 0) {
    reject("/strategy/tensor", fmt::format("tensor {} neither divides n_kv_heads {} nor is a multiple of it", d.tensor, model.n_kv_heads));
  }
  require_divides(d.tensor, "tensor", model.vocab_size, "vocab_size", "/strategy/tensor");
  require_divides(d.pipeline * strategy.virtual_pipeline, "pipeline · virtual_pipeline", model.layers, "layers", "/strategy/pipeline");
  bool has_dense_layer = false;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) has_dense_layer |= !model.is_moe_layer(layer);
  if (has_dense_layer) require_divides(d.tensor, "tensor", model.d_ff, "d_ff", "/strategy/tensor");
}

void check_experts(const Degrees& d, const StrategySpec& strategy, const ModelSpec& model) {
  if (!model.moe) {
    if (d.expert != 1) reject("/strategy/expert", fmt::format("expert {} needs a model with experts; a dense model takes 1", d.expert));
    return;
  }
  const std::int64_t experts = model.moe->experts_per_layer;
  require_divides(d.expert_tensor, "expert_tensor", model.moe->d_ff, "moe.d_ff", "/strategy/expert_tensor");
  switch (strategy.expert_placement) {
    case ExpertPlacement::every_layer:
      require_divides(d.expert, "expert", experts, "experts_per_layer", "/strategy/expert");
      break;
    case ExpertPlacement::replicated:
      require_divides(experts, "experts_per_layer", d.expert, "expert", "/strategy/expert");
      break;
    case ExpertPlacement::striped:
      break;
  }
  if (strategy.expert_input == ExpertInput::replicated) {
    if (d.expert_tensor != d.tensor) {
      reject("/strategy/expert_input",
             fmt::format("\"replicated\" needs expert_tensor ({}) equal to tensor ({}); use \"sequence_sharded\"", d.expert_tensor, d.tensor));
    }
    if (strategy.overlap_chunks > 1) reject("/strategy/overlap", "chunked overlap needs expert_input \"sequence_sharded\"");
  }
}

void check_workload(const Degrees& d, const StrategySpec& strategy, const WorkloadSpec& workload) {
  const std::int64_t parts = d.replicas() * workload.micro_batches;
  if (workload.sequences % parts != 0) {
    reject("/workload/sequences", fmt::format("{} sequences cannot be dealt evenly over data {} · micro_batches {} = {}; use a multiple of {}",
                                              workload.sequences, d.replicas(), workload.micro_batches, parts, parts));
  }
  const std::int64_t tokens = workload.sequences / parts * workload.sequence_length;
  if (tokens % d.tensor != 0) {
    reject("/strategy/tensor",
           fmt::format("tensor {} does not divide the {} tokens of a micro-batch (tokens are sharded over the tensor group)", d.tensor, tokens));
  }
  if (tokens / d.tensor < strategy.overlap_chunks) {
    reject("/strategy/overlap/chunks",
           fmt::format("{} chunks of {} tokens leave some empty; use at most {}", strategy.overlap_chunks, tokens / d.tensor, tokens / d.tensor));
  }
  if (strategy.virtual_pipeline > 1 && workload.micro_batches % d.pipeline != 0) {
    reject("/workload/micro_batches",
           fmt::format("interleaving needs micro_batches ({}) to be a multiple of pipeline ({})", workload.micro_batches, d.pipeline));
  }
}

}  // namespace

Degrees derive_degrees(const StrategySpec& strategy, const ModelSpec& model, const WorkloadSpec& workload, std::int64_t world) {
  if (strategy.context != 1) reject("/strategy/context", fmt::format("context {} is not supported yet; use 1", strategy.context));
  Degrees d{};
  d.world = world;
  d.tensor = strategy.tensor;
  d.context = strategy.context;
  d.pipeline = strategy.pipeline;
  d.expert = strategy.expert;
  d.expert_tensor = strategy.expert_tensor.value_or(strategy.tensor);
  d.data = derive(world, d.pipeline * d.tensor * d.context, strategy.data, "data", "pipeline · tensor · context", "/strategy/tensor");
  d.expert_data = derive(world, d.pipeline * d.expert * d.expert_tensor, strategy.expert_data, "expert_data",
                         "pipeline · expert · expert_tensor", "/strategy/expert");
  if (strategy.virtual_pipeline > 1 && d.pipeline == 1) reject("/strategy/virtual_pipeline", "interleaving needs pipeline of at least 2");
  check_model(d, strategy, model);
  check_experts(d, strategy, model);
  check_workload(d, strategy, workload);
  return d;
}

}  // namespace fabricast::strategy
