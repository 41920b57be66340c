#include "validation/report.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "hardware_models/equipment.hpp"
#include "validation/error_bars.hpp"
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

/// 0 for none: a measurement cannot tell.
Seconds mean_of(const std::vector<SimTime>& by_rank) {
  if (by_rank.empty()) return {};
  const SimTime sum = std::accumulate(by_rank.begin(), by_rank.end(), SimTime{});
  return to_seconds(sum) / static_cast<double>(by_rank.size());
}

/// Floors hold for the fastest of the cluster's GPUs: an upper bound of each of its rates.
hw::GpuCostModel fastest_gpu(const sim::CostModel& cost) {
  hw::GpuSpec spec = cost.gpu.gpu();
  for (const hw::GpuCostModel& other : cost.others) {
    for (std::size_t precision = 0; precision < spec.peak.size(); ++precision) {
      spec.peak[precision] = std::max(spec.peak[precision], other.gpu().peak[precision]);
    }
    spec.memory_bandwidth = std::max(spec.memory_bandwidth, other.gpu().memory_bandwidth);
  }
  return hw::GpuCostModel(std::move(spec));
}

FlopPerSecond mean_peak(const Forecast& forecast, hw::Precision precision) {
  const auto peak_of = [&](const hw::GpuCostModel& gpu) { return gpu.gpu().peak[static_cast<std::size_t>(precision)]; };
  if (forecast.cost.others.empty() || forecast.schedule.ranks.empty()) return peak_of(forecast.cost.gpu);
  FlopPerSecond sum{};
  for (const ir::RankBinding& rank : forecast.schedule.ranks) {
    sum += peak_of(forecast.cost.of_class(forecast.topology.gpu_class(rank.gpu)));
  }
  return sum / static_cast<double>(forecast.schedule.ranks.size());
}

Floors floors_of(const ComputationAccount& computation, Seconds network, Seconds step) {
  Floors floors{computation.at_peak, computation.roofline, network, 1.0};
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
  const hw::GpuCostModel fastest = fastest_gpu(forecast.cost);
  const ScheduleFacts facts(schedule, fastest);
  const ir::RankClasses by_size = ir::classes_by_size(schedule), ranks = alike_ranks(by_size, result.trace);
  const TimeAccount time = account_time(schedule, result.trace, classes, ranks);
  ComputationAccount computation = account_computation(schedule, result.trace, classes, facts, ranks);

  Report report;
  report.experiment = experiment.name;
  report.fidelity = std::string(sim::name_of(fidelity));
  report.phase = std::string(name_of(experiment.workload.phase));
  report.ranks = static_cast<std::int64_t>(schedule.ranks.size());
  report.nodes = forecast.topology.nodes();
  report.tokens_per_step = schedule.tokens;
  report.step = to_seconds(span.end - span.start);
  report.model_flop_per_step = computation.model_flop;
  report.peak = mean_peak(forecast, experiment.model.product_precision());
  fill_rates(report);

  LinkAccount links = account_links(forecast.topology.links(), result.link_bytes, report.step);
  report.time = time.total;
  report.time.interference = mean_of(result.slowed_by);
  const bool has_routes = fidelity != sim::Fidelity::bound;
  report.floors = floors_of(computation, has_routes ? links.floor : longest_floors(schedule, forecast.instances, result, ranks), report.step);
  report.ops = std::move(computation.ops);
  report.collectives = summarize_collectives(schedule, forecast.instances, result, classes, time, ranks);
  report.links = std::move(links.by_kind);
  report.hottest_links = std::move(links.hottest);
  report.memory = summarize_memory(schedule, by_size, experiment.cluster.memory_reserve, hw::least_memory(experiment.cluster));
  report.expert_load = summarize_expert_load(schedule, by_size);
  report.critical_path = summarize_critical_path(schedule, forecast.instances, result.trace, classes);
  fill_error_bars(report, schedule, result.trace, classes, experiment.cluster);
  report.events = result.events;
  report.classes = result.classes;
  report.wall_seconds = forecast.wall.value();
  return report;
}

}  // namespace fabricast::validation
