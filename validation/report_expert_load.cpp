#include <algorithm>
#include <map>
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

}  // namespace

ExpertLoad summarize_expert_load(const ir::Schedule& schedule) {
  std::vector<StepsByLayer> steps;
  for (const ir::Program& program : schedule.programs) steps.push_back(expert_steps(program));
  std::map<std::int32_t, std::vector<double>> rows_by_layer;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    for (const auto& [layer, of_layer] : steps[schedule.ranks[r].program.index()]) {
      std::int64_t rows = 0;
      for (const ir::RoutingStep step : of_layer) rows += ir::evaluate(ir::Extent{ir::Extent::Of::expert_rows, 1, step}, schedule, rank);
      rows_by_layer[layer].push_back(static_cast<double>(rows));
    }
  }
  if (rows_by_layer.empty()) return {};
  ExpertLoad sum{0, 0};
  for (const auto& [layer, rows] : rows_by_layer) {
    const ExpertLoad load = load_of(rows);
    sum.imbalance += load.imbalance;
    sum.variance += load.variance;
  }
  const auto layers = static_cast<double>(rows_by_layer.size());
  return {sum.imbalance / layers, sum.variance / layers};
}

}  // namespace fabricast::validation
