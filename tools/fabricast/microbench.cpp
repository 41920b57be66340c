#include "tools/fabricast/microbench.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>

#include "runtime/host_bench.hpp"
#include "runtime/machine.hpp"
#include "tools/fabricast/bench_output.hpp"
#include "tools/fabricast/cuda_environment.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/bench_json.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"

namespace fabricast::tools {

namespace {

constexpr std::int64_t most_ranks = 256;

std::string command_line(const MicrobenchOptions& options, const CommonOptions& common, const std::string& backend = "") {
  std::string text = "fabricast execute";
  if (options.experiment) text += ' ' + *options.experiment;
  text += " --microbench" + backend;
  if (options.ranks) text += fmt::format(" --ranks {}", *options.ranks);
  text += fmt::format(" --repetitions {}", options.repetitions);
  for (const std::string& set : common.sets) text += " --set " + set;
  return text;
}

void require_repetitions(std::int64_t repetitions) {
  if (repetitions >= 1 && repetitions <= most_repetitions) return;
  throw UsageError(fmt::format("--repetitions is 1 to {}, not {}", most_repetitions, repetitions));
}

/// Progress, where somebody looks.
void say(const std::string& what) {
  if (::isatty(STDERR_FILENO) == 1) std::cerr << "\r\033[K" << what.substr(0, 100) << std::flush;
}

/// " --backend cuda --device 1 ..."
std::string backend_text(const runtime::CudaBenchOptions& cuda) {
  std::string text = fmt::format(" --backend cuda --device {}", cuda.device);
  if (cuda.compute_sms > 0) text += fmt::format(" --compute-sms {}", cuda.compute_sms);
  if (cuda.attention == runtime::AttentionKernels::own) text += " --attention own";
  if (cuda.attention == runtime::AttentionKernels::cudnn) text += " --attention cudnn";
  if (cuda.traffic.size() == 1) {
    text += fmt::format(" --traffic-ctas {} --traffic-rate \"{:g} GB/s\"", cuda.traffic[0].ctas, cuda.traffic[0].rate.value() * 1e-9);
  }
  return text;
}

}  // namespace

runtime::BenchPlan bench_plan(const MicrobenchOptions& options, const std::vector<std::string>& sets) {
  require_repetitions(options.repetitions);
  if (options.experiment) {
    if (options.ranks) throw UsageError("--ranks is for micro-benchmarks without an experiment, which has ranks of its own");
    return runtime::bench_plan_of(validation::plan(validation::load_experiment(*options.experiment, sets)).schedule);
  }
  if (!sets.empty()) throw UsageError("--set changes an experiment, and --microbench was given none");
  const std::int64_t ranks = options.ranks.value_or(runtime::this_host().devices);
  if (ranks < 1 || ranks > most_ranks) throw UsageError(fmt::format("--ranks is 1 to {}, not {}", most_ranks, ranks));
  return runtime::host_bench_plan(static_cast<std::int32_t>(ranks), hw::Precision::fp32);
}

ExitCode microbench(const MicrobenchOptions& options, const CommonOptions& common) {
  const runtime::BenchPlan plan = bench_plan(options, common.sets);
  std::optional<Output> json;
  if (common.json) json.emplace(*common.json);
  const runtime::BenchResults results = runtime::run_on_host(plan, static_cast<std::int32_t>(options.repetitions), say);
  say("");
  if (json) {
    json->stream() << validation::to_json(results, command_line(options, common), date_and_time());
    json->commit();
  }
  if (common.prints_summary()) print(validation::bench_summary(results));
  return ExitCode::success;
}

ExitCode microbench_on_cuda(const MicrobenchOptions& options, runtime::CudaBenchOptions cuda, const CommonOptions& common) {
  require_repetitions(options.repetitions);
  if (options.ranks) {
    throw UsageError("--ranks is for the host; a rank on a GPU is a process: mpirun -n RANKS fabricast-worker --microbench --backend cuda");
  }
  if (!options.experiment && !common.sets.empty()) throw UsageError("--set changes an experiment, and --microbench was given none");
  const runtime::BenchPlan plan = cuda_bench_plan(options.experiment, common.sets, 1);
  std::optional<Output> json;
  if (common.json) json.emplace(*common.json);
  cuda.repetitions = static_cast<std::int32_t>(options.repetitions);
  if (cuda.traffic.empty()) cuda.traffic = usual_traffic();
  cuda.say = say;
  cuda.warn = [](const std::string& line) {
    say("");
    std::cerr << "fabricast: " << line << std::endl;
  };
  prepare_cuda_environment();
  const runtime::BenchResults results = runtime::open_cuda()->microbench(plan, cuda);
  say("");
  write_bench(results, command_line(options, common, backend_text(cuda)), json ? &*json : nullptr);
  if (common.prints_summary()) {
    print(validation::bench_summary(results) +
          "\nCollectives need a process for each GPU: mpirun -n GPUS fabricast-worker --microbench --backend cuda\n");
  }
  return ExitCode::success;
}

}  // namespace fabricast::tools
