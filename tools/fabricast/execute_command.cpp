#include <algorithm>
#include <iostream>
#include <optional>
#include <vector>

#include "hardware_models/quantity.hpp"
#include "runtime/cuda_plugin.hpp"
#include "runtime/execute.hpp"
#include "runtime/host_executor.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/cuda_environment.hpp"
#include "tools/fabricast/measured_output.hpp"
#include "tools/fabricast/microbench.hpp"
#include "tools/fabricast/mpi_launch.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/preflight_run.hpp"
#include "tools/fabricast/slice_output.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/measured_trace.hpp"
#include "validation/summary.hpp"

namespace fabricast::tools {

namespace {

class ExecuteCommand final : public Command {
 public:
  explicit ExecuteCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  [[nodiscard]] runtime::RunOptions run_options() const;
  [[nodiscard]] runtime::CudaOptions cuda_options() const;
  [[nodiscard]] runtime::CudaBenchOptions cuda_bench_options() const;
  [[nodiscard]] std::optional<runtime::Traffic> traffic() const;
  [[nodiscard]] runtime::AttentionKernels attention() const;
  void refuse_cuda_options() const;
  void require_gpus(std::size_t ranks) const;
  [[nodiscard]] ExitCode execute(const std::string& experiment, runtime::Executor& executor) const;
  [[nodiscard]] ExitCode execute_on_cuda(const std::string& experiment) const;
  [[nodiscard]] ExitCode execute_slice(const std::string& experiment, runtime::CudaBackend& backend) const;
  [[nodiscard]] ExitCode launch(const std::string& experiment) const;
  [[nodiscard]] ExitCode run_alone() const;

  CommonOptions common_;
  MeasuredFiles files_;
  std::optional<std::string> experiment_;
  std::optional<std::string> backend_;   // host, unless said otherwise
  std::int64_t steps_ = 20, warm_up_ = 3, seed_ = 1;
  bool no_check_ = false, print_launch_ = false;
  bool microbench_ = false, preflight_ = false;
  std::optional<std::int64_t> ranks_;
  std::int64_t repetitions_ = 20;
  bool virtual_ranks_ = false;
  std::optional<std::int64_t> slice_, device_, communication_ctas_, compute_sms_, traffic_ctas_;
  std::optional<std::string> traffic_rate_, attention_;
};

ExecuteCommand::ExecuteCommand(Syntax& syntax) {
  syntax.optional_argument("experiment", experiment_, "Experiment file");
  syntax.option("--backend", backend_,
                "host (default): every rank a pair of threads of this process; mpi: every rank a process; cuda: every rank a process with a GPU",
                "host|mpi|cuda");
  syntax.option("--steps", steps_, "Timed steps");
  syntax.option("--warm-up", warm_up_, "Steps before them, untimed");
  syntax.option("--seed", seed_, "Of weights and tokens");
  syntax.flag("--no-check", no_check_, "Do not hold the numbers against the single-rank reference");
  syntax.flag("--print-launch", print_launch_, "With mpi or cuda: print the line that starts the processes, and end");
  syntax.option("--trace", files_.trace, "Write a Chrome trace of the median step, which https://ui.perfetto.dev opens", "FILE");
  syntax.option("--measured", files_.measured, "Write every op's median step and spread by op id (fabricast.trace/1), to hold a forecast against",
                "FILE");
  syntax.flag("--microbench", microbench_,
              "Instead of the schedule, time single kernels and collectives, for fabricast calibrate: an experiment's, or a table of the usual; with "
              "cuda kernels of one GPU (fabricast-worker --microbench times NCCL)");
  syntax.option("--repetitions", repetitions_, "With --microbench: samples of each");
  syntax.option("--ranks", ranks_, "With --microbench and no experiment: ranks at once (default: processors)");
  syntax.flag("--preflight", preflight_,
              "Instead, check whether this machine is ready for the experiment, or for any: its GPUs, or what --backend host or mpi needs");
  syntax.flag("--virtual-ranks", virtual_ranks_, "With cuda: all ranks on one GPU; right numbers, not the times of a cluster");
  syntax.option("--slice", slice_, "With cuda: this rank's computation alone, at full shapes, on one GPU; times, no numbers", "RANK");
  syntax.option("--traffic-ctas", traffic_ctas_, "With --slice: thread blocks that write memory while the ranks would communicate; else nothing does. With --microbench: beside "
                "kernels (default: 16, at 50 and at 450 GB/s)");
  syntax.option("--traffic-rate", traffic_rate_, "With --slice or --microbench: how fast they write what each op would receive (\"45 GB/s\")", "RATE");
  syntax.option("--communication-ctas", communication_ctas_, "With cuda: at most so many thread blocks for a communicator; 0: as NCCL likes");
  syntax.option("--compute-sms", compute_sms_, "With cuda: SMs that matrix products plan for, beside communication; 0: all");
  syntax.option("--attention", attention_, "With cuda: whose attention runs; default: cuDNN's where it is there and takes the shape, else our own",
                "own|cudnn");
  syntax.option("--device", device_, "With cuda, one GPU: which, as CUDA counts them");
  common_.declare(syntax);
  syntax.example(
      "Example: all 128 ranks of the guide's job at reduced widths, on this machine\n"
      "  fabricast execute configs/experiments/ep64_tp2_tiny.json --trace trace.json\n"
      "and what this machine's kernels and collectives take, eight ranks at once\n"
      "  fabricast execute --microbench --ranks 8 --json measured.json\n"
      "and what a GPU's kernels take, at an experiment's shapes\n"
      "  fabricast execute configs/experiments/ep64_tp2.json --microbench --backend cuda --json kernels.json");
}

runtime::RunOptions ExecuteCommand::run_options() const {
  constexpr std::int64_t most_steps = 100'000;
  if (steps_ < 1 || steps_ > most_steps) throw UsageError("--steps is 1 to 100000, not " + std::to_string(steps_));
  if (warm_up_ < 0 || warm_up_ > most_steps) throw UsageError("--warm-up is 0 to 100000, not " + std::to_string(warm_up_));
  if (seed_ < 0) throw UsageError("--seed is not negative");
  runtime::RunOptions options;
  options.seed = static_cast<std::uint64_t>(seed_);
  options.warm_up_steps = static_cast<std::int32_t>(warm_up_);
  options.timed_steps = static_cast<std::int32_t>(steps_);
  return options;
}

std::int32_t number(const std::optional<std::int64_t>& value, const char* name, std::int64_t least, std::int64_t otherwise) {
  constexpr std::int64_t most = 1 << 20;
  if (value && (*value < least || *value > most)) throw UsageError(std::string(name) + " is " + std::to_string(least) + " or more");
  return static_cast<std::int32_t>(value.value_or(otherwise));
}

std::optional<runtime::Traffic> ExecuteCommand::traffic() const {
  if (traffic_ctas_.has_value() != traffic_rate_.has_value()) throw UsageError("--traffic-ctas and --traffic-rate go together");
  if (!traffic_ctas_) return std::nullopt;
  try {
    const runtime::Traffic traffic{number(traffic_ctas_, "--traffic-ctas", 1, 1), hw::parse_bandwidth(*traffic_rate_)};
    if (!(traffic.rate > BytesPerSecond(0))) throw UsageError("--traffic-rate is above 0");
    return traffic;
  } catch (const hw::QuantityError& error) {
    throw UsageError(std::string("--traffic-rate: ") + error.what());
  }
}

runtime::AttentionKernels ExecuteCommand::attention() const {
  if (!attention_) return runtime::AttentionKernels::best;
  if (*attention_ == "own") return runtime::AttentionKernels::own;
  if (*attention_ == "cudnn") return runtime::AttentionKernels::cudnn;
  throw UsageError("--attention is 'own' or 'cudnn', not '" + *attention_ + "'" + did_you_mean(*attention_, {"own", "cudnn"}));
}

/// For CudaOptions::warn.
void warn(const std::string& line) { std::cerr << "fabricast: " << line << '\n'; }

runtime::CudaBenchOptions ExecuteCommand::cuda_bench_options() const {
  if (virtual_ranks_ || slice_ || communication_ctas_) {
    throw UsageError("--microbench runs no ranks and, in one process, no collectives: leave --virtual-ranks, --slice and --communication-ctas out");
  }
  runtime::CudaBenchOptions options;
  options.device = number(device_, "--device", 0, 0);
  options.compute_sms = number(compute_sms_, "--compute-sms", 0, 0);
  options.attention = attention();
  if (const auto beside = traffic()) options.traffic = {*beside};
  return options;
}

runtime::CudaOptions ExecuteCommand::cuda_options() const {
  if (virtual_ranks_ && slice_) throw UsageError("--virtual-ranks and --slice exclude each other");
  const std::optional<runtime::Traffic> beside = traffic();
  if (beside && !slice_) throw UsageError("--traffic-ctas is for --slice: elsewhere the ranks communicate");
  runtime::CudaOptions options;
  options.mode = slice_ ? runtime::CudaMode::slice : virtual_ranks_ ? runtime::CudaMode::virtual_ranks : runtime::CudaMode::distributed;
  options.rank = Rank{number(slice_, "--slice", 0, 0)};
  options.device = number(device_, "--device", 0, 0);
  options.communication_ctas = number(communication_ctas_, "--communication-ctas", 0, options.communication_ctas);
  options.compute_sms = number(compute_sms_, "--compute-sms", 0, 0);
  options.attention = attention();
  options.warn = warn;
  options.traffic = beside;
  return options;
}

void ExecuteCommand::refuse_cuda_options() const {
  if (virtual_ranks_ || slice_ || device_ || communication_ctas_ || compute_sms_ || attention_ || traffic_ctas_ || traffic_rate_) {
    throw UsageError("--virtual-ranks, --slice, --device, --communication-ctas, --compute-sms, --attention and --traffic-* need --backend cuda");
  }
}

ExitCode ExecuteCommand::execute(const std::string& path, runtime::Executor& executor) const {
  runtime::ExecuteOptions options{run_options(), {}};
  const validation::Experiment experiment = validation::load_experiment(path, common_.sets);
  if (!no_check_) runtime::require_checkable(validation::problem_of(experiment));
  MeasuredFiles files = files_;
  files.json = common_.json;
  (void)MeasuredOutput(files);   // can they be written? Opened anew after the run: one that is interrupted leaves no half of a file
  validation::Plan plan = validation::plan(experiment);
  options.run.node_of = validation::nodes_of(plan);
  if (!no_check_) options.problem = validation::problem_of(experiment);

  runtime::Execution execution = runtime::execute(plan.schedule, executor, options);
  const validation::Measurement measurement{backend_.value_or("host"), options.run, std::move(execution.run), execution.numerics, false};
  const validation::Report report = MeasuredOutput(files).write(experiment, std::move(plan), measurement);
  if (common_.prints_summary()) print(validation::summary(report, {colour_on_standard_output()}));
  return measurement.numerics && !measurement.numerics->passed ? ExitCode::answer_is_no : ExitCode::success;
}

/// One for each rank, before so many processes find out one by one.
void ExecuteCommand::require_gpus(std::size_t ranks) const {
  const auto gpus = static_cast<std::size_t>(runtime::open_cuda()->device_count());
  if (ranks <= gpus) return;
  throw UsageError("the experiment has " + std::to_string(ranks) + " ranks and this machine " + std::to_string(gpus) +
                   " GPUs: start fabricast-worker on several machines, or use --virtual-ranks or --slice RANK");
}

/// On this machine: one rank for each GPU by workers, else on one GPU in this process.
ExitCode ExecuteCommand::execute_on_cuda(const std::string& path) const {
  const runtime::CudaOptions options = cuda_options();
  if (options.mode == runtime::CudaMode::distributed) {
    const std::size_t ranks = validation::plan(validation::load_experiment(path, common_.sets)).schedule.ranks.size();
    if (!print_launch_) require_gpus(ranks);
    if (ranks > 1 || print_launch_) return launch(path);
  }
  (void)run_options();
  if (slice_ && (common_.json || files_.trace)) throw UsageError("a slice is no report of the job: --measured writes its ops");
  prepare_cuda_environment();
  const auto backend = runtime::open_cuda();
  if (slice_) return execute_slice(path, *backend);
  const auto executor = backend->executor(options);
  return execute(path, *executor);
}

ExitCode ExecuteCommand::execute_slice(const std::string& path, runtime::CudaBackend& backend) const {
  const validation::Experiment experiment = validation::load_experiment(path, common_.sets);
  if (files_.measured) (void)Output(*files_.measured);   // can it be written?
  const validation::Plan plan = validation::plan(experiment);
  runtime::RunOptions options = run_options();
  options.keep_logits = false;
  const runtime::CudaOptions cuda = cuda_options();
  const runtime::MeasuredRun run = backend.executor(cuda)->run(plan.schedule, options);
  if (files_.measured) {
    Output measured(*files_.measured);
    validation::write_measured_trace(validation::measured_trace(experiment.name, "cuda slice", plan.schedule, options, run, {cuda.rank}),
                                     measured.stream());
    measured.commit();
  }
  if (common_.prints_summary()) print(slice_table(experiment.name, plan.schedule, cuda.rank, run));
  return ExitCode::success;
}

/// Workers do all the rest; what they are told is what this command was.
ExitCode ExecuteCommand::launch(const std::string& path) const {
  (void)run_options();
  const validation::Experiment experiment = validation::load_experiment(path, common_.sets);
  const auto ranks = static_cast<std::int64_t>(validation::plan(experiment).schedule.ranks.size());
  std::vector<std::string> arguments{path,        "--backend",              *backend_, "--steps", std::to_string(steps_),
                                     "--warm-up", std::to_string(warm_up_), "--seed",  std::to_string(seed_)};
  const auto add = [&](const char* name, const std::optional<std::string>& value) {
    if (value) arguments.insert(arguments.end(), {name, *value});
  };
  for (const std::string& set : common_.sets) arguments.insert(arguments.end(), {"--set", set});
  add("--json", common_.json);
  add("--trace", files_.trace);
  add("--measured", files_.measured);
  if (communication_ctas_) arguments.insert(arguments.end(), {"--communication-ctas", std::to_string(*communication_ctas_)});
  if (compute_sms_) arguments.insert(arguments.end(), {"--compute-sms", std::to_string(*compute_sms_)});
  add("--attention", attention_);
  if (no_check_) arguments.emplace_back("--no-check");
  if (!common_.prints_summary()) arguments.emplace_back("--quiet");
  const std::vector<std::string> line = mpi_launch_line(ranks, arguments);
  if (!print_launch_) return launch_mpi(line);
  print(shell_line(line) + "\n");
  return ExitCode::success;
}

ExitCode ExecuteCommand::run_alone() const {
  if (microbench_ && preflight_) throw UsageError("--microbench and --preflight are two things: give one of them");
  if (files_.trace || files_.measured) throw UsageError("--microbench and --preflight run no step: --trace and --measured have nothing to hold");
  if (preflight_) return run_preflight(experiment_, backend_, common_);
  const std::string backend = backend_.value_or("host");
  if (backend == "cuda") return microbench_on_cuda({experiment_, ranks_, repetitions_}, cuda_bench_options(), common_);
  if (backend != "host") throw UsageError("--microbench times the host or a GPU: --backend host or cuda");
  refuse_cuda_options();
  return microbench({experiment_, ranks_, repetitions_}, common_);
}

ExitCode ExecuteCommand::run() const {
  const std::string backend = backend_.value_or("host");
  const std::vector<std::string> known{"host", "mpi", "cuda"};
  const bool is_known = std::find(known.begin(), known.end(), backend) != known.end();
  if (!is_known) throw UsageError("--backend is 'host', 'mpi' or 'cuda', not '" + backend + "'" + did_you_mean(backend, known));
  if (microbench_ || preflight_) return run_alone();
  if (!experiment_) throw UsageError("execute needs an experiment file (for example configs/experiments/ep64_tp2_tiny.json)");
  if (print_launch_ && (backend == "host" || virtual_ranks_ || slice_)) {
    throw UsageError("--print-launch: no processes are started here; --backend mpi starts them, and cuda without --virtual-ranks and --slice");
  }
  if (backend == "cuda") return execute_on_cuda(*experiment_);
  refuse_cuda_options();
  if (backend == "mpi") return launch(*experiment_);
  runtime::HostExecutor executor;
  return execute(*experiment_, executor);
}

}  // namespace

std::unique_ptr<Command> make_execute_command(Syntax& syntax) { return std::make_unique<ExecuteCommand>(syntax); }

}  // namespace fabricast::tools
