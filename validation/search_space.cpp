#include "validation/search_space.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "hardware_models/config_error.hpp"

namespace fabricast::validation {

namespace {

using ir::Axis;
using strategy::ExpertInput;
using strategy::ExpertPlacement;
using strategy::StrategySpec;
using Integers = std::vector<std::int64_t>;

constexpr std::int64_t most_micro_batches = 64, most_micro_batches_per_chunk = 8;
constexpr std::int64_t most_block_instances = std::int64_t{1} << 20;   // as check_schedule_size has it

Integers divisors(std::int64_t n, std::int64_t most) {
  Integers result;
  for (std::int64_t d = 1; d <= std::min(n, most); ++d) {
    if (n % d == 0) result.push_back(d);
  }
  return result;
}

struct ExpertDegree {
  ExpertPlacement placement;
  std::int64_t expert;
};

class SpaceBuilder {
 public:
  explicit SpaceBuilder(const SearchSpec& search)
      : search_(search), model_(search.base.model), choices_(search.choices), world_(search.base.cluster.gpus()),
        node_gpus_(search.base.cluster.node.gpus) {}

  [[nodiscard]] StrategySpace build() {
    for (const std::int64_t pipeline : choices_.pipeline.value_or(divisors(model_.layers, world_))) {
      for (const std::int64_t tensor : choices_.tensor.value_or(divisors(model_.n_heads, node_gpus_))) {
        if (world_ % (pipeline * tensor) != 0) continue;
        StrategySpec strategy;
        strategy.pipeline = pipeline;
        strategy.tensor = tensor;
        add_expert_degrees(strategy);
      }
    }
    return std::move(space_);
  }

 private:
  void add_expert_degrees(StrategySpec strategy) {
    if (!model_.moe) return add_inputs(strategy);
    for (const ExpertDegree& degree : expert_degrees(world_ / strategy.pipeline)) {
      strategy.expert = degree.expert;
      strategy.expert_placement = degree.placement;
      for (const std::int64_t expert_tensor : choices_.expert_tensor.value_or(divisors(model_.moe->d_ff, node_gpus_))) {
        if (world_ % (strategy.pipeline * degree.expert * expert_tensor) != 0) continue;
        strategy.expert_tensor = expert_tensor;
        add_inputs(strategy);
      }
    }
  }

  [[nodiscard]] std::vector<ExpertDegree> expert_degrees(std::int64_t stage_ranks) const {
    const std::int64_t experts = model_.moe->experts_per_layer;
    std::vector<ExpertDegree> degrees;
    for (const std::int64_t expert : choices_.expert.value_or(divisors(stage_ranks, stage_ranks))) {
      const std::vector usual{expert <= experts ? ExpertPlacement::every_layer : ExpertPlacement::replicated};
      for (const ExpertPlacement placement : choices_.expert_placement.value_or(usual)) {
        const bool is_even = placement == ExpertPlacement::every_layer ? experts % expert == 0 : expert % experts == 0;
        if (is_even || choices_.expert) degrees.push_back({placement, expert});
      }
    }
    return degrees;
  }

  void add_inputs(StrategySpec strategy) {
    const std::int64_t expert_tensor = strategy.expert_tensor.value_or(strategy.tensor);
    const bool communicates = model_.moe && (strategy.expert > 1 || expert_tensor > 1);
    std::vector<ExpertInput> inputs{ExpertInput::sequence_sharded};
    if (model_.moe && expert_tensor == strategy.tensor && strategy.tensor > 1) inputs.push_back(ExpertInput::replicated);
    for (const ExpertInput input : choices_.expert_input.value_or(inputs)) {
      strategy.expert_input = input;
      const bool overlaps = communicates && input == ExpertInput::sequence_sharded;
      const Integers chunks = overlaps ? Integers{1, 2, 4, 8} : Integers{1};
      for (const std::int64_t count : choices_.overlap_chunks.value_or(chunks)) {
        if (!overlaps && count > 1) continue;
        strategy.overlap_chunks = count;
        add_pipelines(strategy);
      }
    }
  }

  void add_pipelines(StrategySpec strategy) {
    Integers chunks{1};
    for (const std::int64_t more : {2, 4}) {
      if (strategy.pipeline > 1 && model_.layers % (strategy.pipeline * more) == 0) chunks.push_back(more);
    }
    for (const std::int64_t count : choices_.virtual_pipeline.value_or(chunks)) {
      if (count > 1 && strategy.pipeline == 1) continue;
      strategy.virtual_pipeline = count;
      add_micro_batches(strategy);
    }
  }

  void add_micro_batches(const StrategySpec& strategy) {
    const std::int64_t replicas = world_ / (strategy.pipeline * strategy.tensor), sequences = search_.base.workload.sequences;
    const std::int64_t most = std::max(most_micro_batches, most_micro_batches_per_chunk * strategy.pipeline * strategy.virtual_pipeline);
    const Integers own = sequences % replicas == 0 ? divisors(sequences / replicas, most) : Integers{1};
    for (const std::int64_t count : choices_.micro_batches.value_or(own)) {
      // Chunks of a stage take turns in groups of `pipeline` micro-batches.
      if (!choices_.micro_batches && strategy.virtual_pipeline > 1 && count % strategy.pipeline != 0) continue;
      add(strategy, count);
    }
  }

  void add(const StrategySpec& strategy, std::int64_t micro_batches) {
    strategy::WorkloadSpec workload = search_.base.workload;
    workload.micro_batches = micro_batches;
    try {
      if (model_.layers * micro_batches * strategy.overlap_chunks > most_block_instances) throw hw::ConfigError("more blocks than a schedule holds", "/workload/micro_batches");
      (void)strategy::derive_degrees(strategy, model_, workload, world_);
    } catch (const hw::ConfigError& error) {
      return refuse(error);
    }
    space_.families.push_back({strategy, micro_batches, axis_orders(strategy), algorithms(strategy)});
  }

  void refuse(const hw::ConfigError& error) {
    const auto place = std::find(keys_.begin(), keys_.end(), error.pointer());
    if (place != keys_.end()) {
      ++space_.refused[static_cast<std::size_t>(place - keys_.begin())].families;
      return;
    }
    keys_.push_back(error.pointer());
    space_.refused.push_back({error.pointer() + ": " + error.what(), 1});
  }

  /// Those that place differently: axes of degree 1 may stand anywhere.
  [[nodiscard]] std::vector<std::vector<Axis>> axis_orders(const StrategySpec& strategy) const {
    if (choices_.axis_order) return *choices_.axis_order;
    const std::int64_t data = world_ / (strategy.pipeline * strategy.tensor);
    std::vector<Axis> axes;   // ascending, for next_permutation
    if (strategy.tensor > 1) axes.push_back(Axis::tensor);
    if (data > 1) axes.push_back(Axis::data);
    if (strategy.pipeline > 1) axes.push_back(Axis::pipeline);
    std::vector<std::vector<Axis>> orders{{}};   // the first is the default
    while (std::next_permutation(axes.begin(), axes.end())) orders.push_back(whole_order(axes));
    return orders;
  }

  static std::vector<Axis> whole_order(std::vector<Axis> order) {
    for (const Axis axis : {Axis::tensor, Axis::context, Axis::data, Axis::pipeline}) {
      if (std::find(order.begin(), order.end(), axis) == order.end()) order.push_back(axis);
    }
    return order;
  }

  [[nodiscard]] std::vector<strategy::Algorithms> algorithms(const StrategySpec& strategy) const {
    using hw::CollectiveAlgorithm;
    std::vector<CollectiveAlgorithm> expert{CollectiveAlgorithm::automatic};
    if (strategy.expert > 1) {
      expert = choices_.expert_algorithm.value_or(
          std::vector{CollectiveAlgorithm::automatic, CollectiveAlgorithm::hierarchical, CollectiveAlgorithm::deduplicated});
    }
    std::vector<strategy::Algorithms> all;
    for (const CollectiveAlgorithm tensor : choices_.tensor_algorithm.value_or(std::vector{CollectiveAlgorithm::automatic})) {
      for (const CollectiveAlgorithm one : expert) all.push_back({tensor, one});
    }
    return all;
  }

  const SearchSpec& search_;
  const strategy::ModelSpec& model_;
  const SearchChoices& choices_;
  std::int64_t world_, node_gpus_;
  StrategySpace space_;
  std::vector<std::string> keys_;   // by refusal: the key at fault
};

}  // namespace

StrategySpace strategy_space(const SearchSpec& search) { return SpaceBuilder(search).build(); }

}  // namespace fabricast::validation
