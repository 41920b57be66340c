#include "tools/fabricast/preflight_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "runtime/gpu_inventory.hpp"
#include "runtime/host_bench.hpp"
#include "runtime/machine.hpp"
#include "tools/fabricast/mpi_launch.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/preflight.hpp"

namespace fabricast::tools {

namespace {

using validation::PreflightFacts;
using validation::PreflightNeeds;

constexpr Bytes host_all_reduce_size{4 << 20};
constexpr std::int32_t most_threads = 8, host_repetitions = 10;
constexpr Seconds patience{300};

/// MemAvailable of /proc/meminfo: "MemAvailable:   12345678 kB", where kB means KiB.
Bytes available_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string key; file >> key;) {
    std::int64_t kibibytes = 0;
    if (key == "MemAvailable:" && file >> kibibytes) return Bytes(kibibytes * 1024);
    std::getline(file, key);
  }
  return Bytes(0);
}

bool is_there(const std::string& program) { return !runtime::output_of("sh -c 'command -v " + program + "'", Seconds(5)).empty(); }

bool has_worker() {
  try {
    return !worker_program().empty();
  } catch (const runtime::BackendUnavailable&) {
    return false;
  }
}

/// The guide's own command, for all GPUs of the node.
void measure_gpu_all_reduce(PreflightFacts& facts) {
  const std::size_t gpus = facts.gpus.gpus.size();
  if (gpus < 2) {
    facts.no_gpu_all_reduce = "one GPU has nothing to reduce with";
    return;
  }
  if (!is_there("all_reduce_perf")) {
    facts.no_gpu_all_reduce = "all_reduce_perf of nccl-tests (https://github.com/NVIDIA/nccl-tests) is not on the path";
    return;
  }
  const auto rate = runtime::parse_best_bus_bandwidth(runtime::output_of(fmt::format("all_reduce_perf -b 1M -e 1G -f 2 -g {}", gpus), patience));
  if (rate > BytesPerSecond(0)) {
    facts.gpu_all_reduce = rate;
  } else {
    facts.no_gpu_all_reduce = fmt::format("all_reduce_perf -b 1M -e 1G -f 2 -g {} gave no result within {:.0f} s", gpus, patience.value());
  }
}

BytesPerSecond measure_host_all_reduce(std::int32_t threads) {
  const runtime::HostBench bench(threads, host_repetitions);
  const Seconds time = bench.collective({hw::CollectiveKind::all_reduce, host_all_reduce_size, threads, 1, hw::Precision::fp32}).median;
  return BytesPerSecond((host_all_reduce_size / time).value() * hw::bus_factor(hw::CollectiveKind::all_reduce, threads));
}

PreflightNeeds needs_of(const validation::Experiment& experiment) {
  const validation::Plan plan = validation::plan(experiment);
  PreflightNeeds needs;
  needs.gpus_per_node = experiment.cluster.node.gpus;
  needs.nodes = experiment.cluster.nodes;
  needs.ranks = static_cast<std::int64_t>(plan.schedule.ranks.size());
  needs.gpu_memory = experiment.cluster.gpu.memory;
  Bytes sum, most;
  for (std::int32_t r = 0; r < *needs.ranks; ++r) {
    const Bytes peak = ir::plan_memory(plan.schedule, Rank{r}).peak;
    sum += peak;
    most = std::max(most, peak);
  }
  needs.peak_of_a_rank = most;
  needs.all_ranks = sum;
  return needs;
}

PreflightFacts gather(const PreflightNeeds& needs) {
  PreflightFacts facts;
  facts.host = runtime::this_host();
  facts.available_memory = available_memory();
  if (needs.backend == "cuda") {
    facts.gpus = runtime::gpus_of_this_node();
    measure_gpu_all_reduce(facts);
    return facts;
  }
  facts.has_mpirun = is_there("mpirun");
  facts.has_worker = has_worker();
  const auto threads = static_cast<std::int32_t>(std::min<std::int64_t>(most_threads, needs.ranks.value_or(most_threads)));
  if (threads > 1) facts.host_all_reduce = measure_host_all_reduce(threads);
  return facts;
}

}  // namespace

ExitCode run_preflight(const std::optional<std::string>& experiment, const std::optional<std::string>& backend, const CommonOptions& common) {
  if (!experiment && !common.sets.empty()) throw UsageError("--set changes an experiment, and --preflight was given none");
  std::optional<Output> json;
  if (common.json) json.emplace(*common.json);
  PreflightNeeds needs;
  std::string name;
  if (experiment) {
    const validation::Experiment loaded = validation::load_experiment(*experiment, common.sets);
    needs = needs_of(loaded);
    name = loaded.name;
  }
  needs.backend = backend.value_or("cuda");
  const PreflightFacts facts = gather(needs);
  const auto checks = validation::preflight(facts, needs);
  if (json) {
    json->stream() << validation::preflight_json(checks, facts, name);
    json->commit();
  }
  if (common.prints_summary()) print(validation::preflight_text(checks, facts));
  return validation::is_ready(checks) ? ExitCode::success : ExitCode::answer_is_no;
}

}  // namespace fabricast::tools
