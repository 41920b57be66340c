#include "validation/pipeline_bound.hpp"

#include <algorithm>
#include <vector>

#include "strategies/degrees.hpp"
#include "strategies/emission.hpp"
#include "strategies/ir/rank_classes.hpp"
#include "strategies/ir/resolve.hpp"
#include "validation/forecast.hpp"

namespace fabricast::validation {

namespace {

bool layers_are_alike(const strategy::ModelSpec& model) { return !model.moe || (model.moe_first == 0 && model.moe_every == 1); }

/// One micro-batch, one layer a stage.
Experiment of_one_layer(const Experiment& experiment) {
  Experiment one = experiment;
  one.model.layers = experiment.strategy.pipeline;
  one.strategy.virtual_pipeline = 1;
  one.workload.sequences /= experiment.workload.micro_batches;
  one.workload.micro_batches = 1;
  return one;
}

/// The least that a source sends an expert in a pass, over the most.
double least_share_of_rows(const Experiment& experiment) {
  if (!experiment.model.moe) return 1.0;
  const strategy::Degrees degrees =
      strategy::derive_degrees(experiment.strategy, experiment.model, experiment.workload, experiment.cluster.gpus());
  const std::int64_t tokens = strategy::derive_shapes(experiment.model, experiment.workload, degrees).shard_tokens;
  const std::int64_t chunks = experiment.strategy.overlap_chunks, k = experiment.model.moe->top_k, experts = experiment.model.moe->experts_per_layer;
  const std::int64_t fewest = tokens / chunks * k, most = (tokens + chunks - 1) / chunks * k;
  return static_cast<double>(fewest / experts) / static_cast<double>((most + experts - 1) / experts);
}

bool in_a_layer(const ir::Schedule& schedule, const ir::Op& op) { return schedule.label(op.scope).rfind("layer ", 0) == 0; }

/// The fullest stage's, where each of its layers holds as much as the one that it has.
Bytes parameters(const ir::Schedule& schedule, std::int64_t layers_per_stage) {
  Bytes most;
  std::vector<bool> seen(schedule.programs.size());
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const std::size_t program = schedule.ranks[r].program.index();
    if (seen[program]) continue;
    seen[program] = true;
    Bytes sum;
    for (const ir::BufferSpec& buffer : schedule.programs[program].buffers) {
      if (!ir::is_parameter(buffer.kind)) continue;
      const bool once = buffer.kind == ir::BufferKind::embedding_weights || buffer.kind == ir::BufferKind::norm_weights;
      sum += ir::bytes_of(buffer, schedule, Rank{static_cast<std::int32_t>(r)}) * (once ? 1 : layers_per_stage);
    }
    most = std::max(most, sum);
  }
  return most;
}

Seconds least_of(const Experiment& experiment, const Plan& one_layer, const ir::RankClasses& by_size, const sim::CostModel& cost,
                 const sim::LeastStepOptions& options) {
  const strategy::StrategySpec& strategy = experiment.strategy;
  const std::int64_t layers = experiment.model.layers / strategy.pipeline;
  const auto chains = [&](const auto& counted) { return sim::least_chains(one_layer.schedule, by_size, one_layer.topology, cost, options, counted); };
  const std::vector<SimTime> whole = chains([](const ir::Op&) { return true; });
  const std::vector<SimTime> layer = chains([&](const ir::Op& op) { return in_a_layer(one_layer.schedule, op); });

  std::vector<Seconds> stage, passing;   // what a micro-batch takes a stage, and what it takes it to let the first or the last through
  Seconds all_passing;
  for (std::size_t s = 0; s < whole.size(); ++s) {
    stage.push_back(to_seconds(whole[s]) + to_seconds(layer[s]) * static_cast<double>(layers - 1));
    const bool interleaved = strategy.virtual_pipeline > 1;
    passing.push_back(interleaved ? to_seconds(layer[s]) * static_cast<double>(layers / strategy.virtual_pipeline) : stage.back());
    all_passing += passing.back();
  }
  Seconds step;
  for (std::size_t s = 0; s < stage.size(); ++s) {
    step = std::max(step, all_passing - passing[s] + stage[s] * static_cast<double>(experiment.workload.micro_batches));
  }
  return step * (1 - 1e-9);   // sums in doubles
}

}  // namespace

std::optional<PipelineBound> pipeline_bound(const Experiment& experiment, const sim::CostModel& cost, bool deduplicates) {
  const bool one_copy = experiment.strategy.expert_placement == strategy::ExpertPlacement::every_layer;
  const bool uniform = experiment.routing.distribution == strategy::RoutingDistribution::uniform;
  if (!layers_are_alike(experiment.model) || !one_copy || !uniform) return std::nullopt;
  const Plan planned = plan(of_one_layer(experiment));
  const ir::RankClasses by_size = ir::classes_by_size(planned.schedule);
  const double rows = least_share_of_rows(experiment);
  return PipelineBound{least_of(experiment, planned, by_size, cost, {true, deduplicates, rows}),
                       least_of(experiment, planned, by_size, cost, {false, deduplicates, rows}),
                       parameters(planned.schedule, experiment.model.layers / experiment.strategy.pipeline)};
}

}  // namespace fabricast::validation
