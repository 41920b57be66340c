#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "strategies/ir/resolve.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

/// By layer: the dispatches whose rows the program's experts compute, each once.
using StepsByLayer = std::map<std::int32_t, std::vector<ir::RoutingStep>>;

StepsByLayer expert_steps(const ir::Program& program) {
  StepsByLayer steps;
  for (const ir::Op& op : program.ops) {
    const auto* experts = std::get_if<hw::GroupedGemm<ir::ExpertRows>>(&op.work);
    if (!experts) continue;
    auto& of_layer = steps[experts->rows.step.layer];
    if (std::find(of_layer.begin(), of_layer.end(), experts->rows.step) == of_layer.end()) of_layer.push_back(experts->rows.step);
  }
  return steps;
}

ExpertLoad load_of(const std::vector<double>& rows) {
  double sum = 0, most = 0, squares = 0;
  for (const double n : rows) {
    sum += n;
    most = std::max(most, n);
  }
  const double mean = sum / static_cast<double>(rows.size());
  if (mean == 0) return {};
  for (const double n : rows) squares += (n - mean) * (n - mean);
  return {most / mean, squares / static_cast<double>(rows.size()) / (mean * mean)};
}

/// A program's steps of one layer.
struct LayerSteps {
  ir::ProgramId program;
  std::vector<ir::RoutingStep> steps;
};

/// Of the ranks whose programs have the layer, in rank order.
std::vector<double> rows_by_rank(const ir::Schedule& schedule, const ir::RankClasses& by_size, const std::vector<LayerSteps>& by_program) {
  std::vector<std::optional<double>> rows_of(by_size.size());   // by class; nothing where the program lacks the layer
  for (std::size_t c = 0; c < by_size.size(); ++c) {
    const Rank rank = by_size.representatives[c];
    for (const LayerSteps& layer : by_program) {
      if (layer.program != schedule.ranks[rank.index()].program) continue;
      std::int64_t rows = 0;
      for (const ir::RoutingStep step : layer.steps) rows += ir::evaluate(ir::Extent{ir::Extent::Of::expert_rows, 1, step}, schedule, rank);
      rows_of[c] = static_cast<double>(rows);
    }
  }
  std::vector<double> rows;
  for (const std::int32_t rank_class : by_size.of) {
    if (const auto& of_class = rows_of[static_cast<std::size_t>(rank_class)]) rows.push_back(*of_class);
  }
  return rows;
}

}  // namespace

ExpertLoad summarize_expert_load(const ir::Schedule& schedule, const ir::RankClasses& by_size) {
  std::map<std::int32_t, std::vector<LayerSteps>> layers;
  for (std::size_t p = 0; p < schedule.programs.size(); ++p) {
    for (auto& [layer, of_layer] : expert_steps(schedule.programs[p])) {
      layers[layer].push_back({ir::ProgramId{static_cast<std::int32_t>(p)}, std::move(of_layer)});
    }
  }
  if (layers.empty()) return {};
  ExpertLoad sum{0, 0};
  for (const auto& [layer, by_program] : layers) {
    const ExpertLoad load = load_of(rows_by_rank(schedule, by_size, by_program));
    sum.imbalance += load.imbalance;
    sum.variance += load.variance;
  }
  const auto count = static_cast<double>(layers.size());
  return {sum.imbalance / count, sum.variance / count};
}

}  // namespace fabricast::validation
