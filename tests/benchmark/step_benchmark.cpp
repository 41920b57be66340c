// Whole steps, from the experiment to the report: topology, schedule, simulation, accounting. Run one by name to read its peak memory, which
// is the process's.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "validation/description.hpp"
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

validation::Experiment load(const std::string& name, const std::vector<std::string>& sets) {
  return validation::load_experiment(std::string(FABRICAST_SOURCE_DIR) + "/configs/experiments/" + name + ".json", sets);
}

void run(benchmark::State& state, const std::string& name, const std::vector<std::string>& sets) {
  const validation::Experiment experiment = load(name, sets);
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

const std::vector<std::string> on_16384_gpus{"cluster.nodes=2048", "workload.sequences=16384", "model.layers=160"};

void uniform_step_of_16384_gpus(benchmark::State& state) { run(state, state.range(0) > 1 ? "ep64_tp2_chunked" : "ep64_tp2", on_16384_gpus); }
BENCHMARK(uniform_step_of_16384_gpus)->Arg(1)->Arg(4)->ArgName("chunks")->Unit(benchmark::kMillisecond);

/// A shard of 10,001 tokens: where the extra rows of an all-to-all go depends on the source in 32 ways, so its transfers are listed.
void uneven_step_of_16384_gpus(benchmark::State& state) {
  std::vector<std::string> sets = on_16384_gpus;
  sets.push_back("workload.sequence_length=10001");
  sets.push_back("model.max_sequence_length=10001");
  run(state, "ep64_tp2_chunked", sets);
}
BENCHMARK(uneven_step_of_16384_gpus)->Unit(benchmark::kMillisecond);

void describe_16384_gpus(benchmark::State& state) {
  const validation::Experiment experiment = load("ep64_tp2", on_16384_gpus);
  for (auto _ : state) benchmark::DoNotOptimize(validation::describe(experiment, validation::plan(experiment)));
  state.counters["peak_MiB"] = peak_mebibytes();
}
BENCHMARK(describe_16384_gpus)->Unit(benchmark::kMillisecond);

void skewed_step_of_128_gpus(benchmark::State& state) {
  run(state, state.range(0) > 1 ? "ep64_tp2_chunked" : "ep64_tp2", {"routing.distribution=zipf"});
}
BENCHMARK(skewed_step_of_128_gpus)->Arg(1)->Arg(4)->ArgName("chunks")->Unit(benchmark::kMillisecond);

}  // namespace
