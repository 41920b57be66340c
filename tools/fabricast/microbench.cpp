#include "tools/fabricast/microbench.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <iostream>

#include "runtime/host_bench.hpp"
#include "runtime/machine.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/bench_json.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"

namespace fabricast::tools {

namespace {

constexpr std::int64_t most_repetitions = 10'000, most_ranks = 256;

std::string command_line(const MicrobenchOptions& options, const CommonOptions& common) {
  std::string text = "fabricast execute";
  if (options.experiment) text += ' ' + *options.experiment;
  text += " --microbench";
  if (options.ranks) text += fmt::format(" --ranks {}", *options.ranks);
  text += fmt::format(" --repetitions {}", options.repetitions);
  for (const std::string& set : common.sets) text += " --set " + set;
  return text;
}

}  // namespace

std::string date_and_time() {
  const std::time_t time = std::time(nullptr);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&time));
  return text.data();
}

runtime::BenchPlan bench_plan(const MicrobenchOptions& options, const std::vector<std::string>& sets) {
  if (options.repetitions < 1 || options.repetitions > most_repetitions) {
    throw UsageError(fmt::format("--repetitions is 1 to {}, not {}", most_repetitions, options.repetitions));
  }
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
  const bool shows_progress = ::isatty(STDERR_FILENO) == 1;
  const auto say = [&](const std::string& what) {
    if (shows_progress) std::cerr << "\r\033[K" << what.substr(0, 100) << std::flush;
  };
  const runtime::BenchResults results = runtime::run_on_host(plan, static_cast<std::int32_t>(options.repetitions), say);
  say("");
  if (json) {
    json->stream() << validation::to_json(results, command_line(options, common), date_and_time());
    json->commit();
  }
  if (common.prints_summary()) print(validation::bench_summary(results));
  return ExitCode::success;
}

}  // namespace fabricast::tools
