#include "validation/report.hpp"

#include <algorithm>

#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

std::string_view name_of(strategy::Phase phase) {
  switch (phase) {
    case strategy::Phase::forward: return "forward";
  }
  return "";
}

void fill_rates(Report& report) {
  if (report.step == Seconds(0)) return;
  const auto ranks = static_cast<double>(report.ranks);
  report.tokens_per_second = static_cast<double>(report.tokens_per_step) / report.step.value();
  report.tokens_per_second_per_gpu = report.tokens_per_second / ranks;
  if (report.tokens_per_step > 0) report.seconds_per_token = report.step.value() / static_cast<double>(report.tokens_per_step);
  if (report.peak > FlopPerSecond(0)) report.mfu = (report.model_flop_per_step / report.step).value() / (report.peak.value() * ranks);
}

Floors floors_of(const ComputationAccount& computation, const LinkAccount& links, Seconds step) {
  Floors floors{computation.at_peak, computation.roofline, links.floor, 1.0};
  const Seconds largest = std::max({floors.compute, floors.roofline, floors.network});
  if (largest > Seconds(0)) floors.step_over_floor = step / largest;
  return floors;
}

}  // namespace

Report summarize(const Experiment& experiment, const Forecast& forecast, sim::Fidelity fidelity) {
  const ir::Schedule& schedule = forecast.schedule;
  const sim::SimulationResult& result = forecast.result;
  const TimeSpan span = step_of(result.trace);
  const OpClasses classes(schedule, forecast.instances);
  const ScheduleFacts facts(schedule, forecast.cost.gpu);
  const TimeAccount time = account_time(schedule, result.trace, classes);
  ComputationAccount computation = account_computation(schedule, result.trace, classes, facts);

  Report report;
  report.experiment = experiment.name;
  report.fidelity = std::string(sim::name_of(fidelity));
  report.phase = std::string(name_of(experiment.workload.phase));
  report.ranks = static_cast<std::int64_t>(schedule.ranks.size());
  report.nodes = forecast.topology.nodes();
  report.tokens_per_step = schedule.tokens;
  report.step = to_seconds(span.end - span.start);
  report.model_flop_per_step = computation.model_flop;
  report.peak = experiment.cluster.gpu.peak[static_cast<std::size_t>(experiment.model.precision)];
  fill_rates(report);

  LinkAccount links = account_links(forecast.topology.links(), result.link_bytes, report.step);
  report.time = time.total;
  report.floors = floors_of(computation, links, report.step);
  report.ops = std::move(computation.ops);
  report.collectives = summarize_collectives(schedule, forecast.instances, result.instances, classes, time);
  report.links = std::move(links.by_kind);
  report.hottest_links = std::move(links.hottest);
  report.memory = summarize_memory(schedule, experiment.cluster.memory_reserve, experiment.cluster.gpu.memory);
  report.expert_load = summarize_expert_load(schedule);
  report.critical_path = summarize_critical_path(schedule, forecast.instances, result.trace, classes);
  report.events = result.events;
  report.wall_seconds = forecast.wall.value();
  return report;
}

}  // namespace fabricast::validation
