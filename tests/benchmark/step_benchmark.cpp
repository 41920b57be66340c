// Whole steps, from the experiment to the report: topology, schedule, simulation, accounting. Run one by name to read its peak memory, which
// is the process's.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/report.hpp"

using namespace fabricast;

namespace {

double peak_mebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void run(benchmark::State& state, const std::string& name, const std::vector<std::string>& sets) {
  const validation::Experiment experiment =
      validation::load_experiment(std::string(FABRICAST_SOURCE_DIR) + "/configs/experiments/" + name + ".json", sets);
  std::size_t classes = 0, ops = 0;
  for (auto _ : state) {
    const validation::Forecast forecast = validation::forecast(experiment, {});
    benchmark::DoNotOptimize(validation::summarize(experiment, forecast, sim::Fidelity::flow));
    classes = forecast.result.classes;
    ops = forecast.schedule.programs.front().ops.size();
  }
  state.counters["classes"] = static_cast<double>(classes);
  state.counters["ops_per_rank"] = static_cast<double>(ops);
  state.counters["peak_MiB"] = peak_mebibytes();
}

void uniform_step_of_16384_gpus(benchmark::State& state) {
  run(state, "ep64_tp2", {"cluster.nodes=2048", "workload.sequences=16384", "model.layers=160"});
}
BENCHMARK(uniform_step_of_16384_gpus)->Unit(benchmark::kMillisecond);

void skewed_step_of_128_gpus(benchmark::State& state) {
  run(state, state.range(0) > 1 ? "ep64_tp2_chunked" : "ep64_tp2", {"routing.distribution=zipf"});
}
BENCHMARK(skewed_step_of_128_gpus)->Arg(1)->Arg(4)->ArgName("chunks")->Unit(benchmark::kMillisecond);

}  // namespace
