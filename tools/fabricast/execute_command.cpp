#include <optional>
#include <vector>

#include "runtime/execute.hpp"
#include "runtime/host_executor.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/measured_output.hpp"
#include "tools/fabricast/mpi_launch.hpp"
#include "tools/fabricast/options.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/summary.hpp"

namespace fabricast::tools {

namespace {

class ExecuteCommand final : public Command {
 public:
  explicit ExecuteCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  [[nodiscard]] runtime::RunOptions run_options() const;
  [[nodiscard]] ExitCode execute(const std::string& experiment) const;
  [[nodiscard]] ExitCode launch(const std::string& experiment) const;

  CommonOptions common_;
  MeasuredFiles files_;
  std::optional<std::string> experiment_;
  std::string backend_ = "host";
  std::int64_t steps_ = 20, warm_up_ = 3, seed_ = 1;
  bool no_check_ = false, print_launch_ = false;
};

ExecuteCommand::ExecuteCommand(Syntax& syntax) {
  syntax.optional_argument("experiment", experiment_, "Experiment file");
  syntax.option("--backend", backend_, "host: every rank a pair of threads of this process; mpi: every rank a process", "host|mpi");
  syntax.option("--steps", steps_, "Timed steps");
  syntax.option("--warm-up", warm_up_, "Steps before them, untimed");
  syntax.option("--seed", seed_, "Of weights and tokens");
  syntax.flag("--no-check", no_check_, "Do not hold the numbers against the single-rank reference");
  syntax.flag("--print-launch", print_launch_, "With mpi: print the line that starts the processes, and end");
  syntax.option("--trace", files_.trace, "Write a Chrome trace of the median step, which https://ui.perfetto.dev opens", "FILE");
  syntax.option("--measured", files_.measured, "Write every op's median step and spread by op id (fabricast.trace/1), to hold a forecast against",
                "FILE");
  common_.declare(syntax);
  syntax.example(
      "Example: all 128 ranks of the guide's job at reduced widths, on this machine\n"
      "  fabricast execute configs/experiments/ep64_tp2_tiny.json --trace trace.json");
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

ExitCode ExecuteCommand::execute(const std::string& path) const {
  runtime::ExecuteOptions options{run_options(), {}};
  const validation::Experiment experiment = validation::load_experiment(path, common_.sets);
  MeasuredFiles files = files_;
  files.json = common_.json;
  MeasuredOutput output(files);
  validation::Plan plan = validation::plan(experiment);
  options.run.node_of = validation::nodes_of(plan);
  if (!no_check_) options.problem = validation::problem_of(experiment);

  runtime::HostExecutor executor;
  runtime::Execution execution = runtime::execute(plan.schedule, executor, options);
  const validation::Measurement measurement{backend_, options.run, std::move(execution.run), execution.numerics, false};
  const validation::Report report = output.write(experiment, std::move(plan), measurement);
  if (common_.prints_summary()) print(validation::summary(report, {colour_on_standard_output()}));
  return measurement.numerics && !measurement.numerics->passed ? ExitCode::answer_is_no : ExitCode::success;
}

/// Workers do all the rest; what they are told is what this command was.
ExitCode ExecuteCommand::launch(const std::string& path) const {
  (void)run_options();
  const validation::Experiment experiment = validation::load_experiment(path, common_.sets);
  const auto ranks = static_cast<std::int64_t>(validation::plan(experiment).schedule.ranks.size());
  std::vector<std::string> arguments{path, "--backend", "mpi", "--steps", std::to_string(steps_), "--warm-up", std::to_string(warm_up_),
                                     "--seed", std::to_string(seed_)};
  const auto add = [&](const char* name, const std::optional<std::string>& value) {
    if (value) arguments.insert(arguments.end(), {name, *value});
  };
  for (const std::string& set : common_.sets) arguments.insert(arguments.end(), {"--set", set});
  add("--json", common_.json);
  add("--trace", files_.trace);
  add("--measured", files_.measured);
  if (no_check_) arguments.emplace_back("--no-check");
  if (!common_.prints_summary()) arguments.emplace_back("--quiet");
  const std::vector<std::string> line = mpi_launch_line(ranks, arguments);
  if (!print_launch_) return launch_mpi(line);
  print(shell_line(line) + "\n");
  return ExitCode::success;
}

ExitCode ExecuteCommand::run() const {
  if (!experiment_) throw UsageError("execute needs an experiment file (for example configs/experiments/ep64_tp2_tiny.json)");
  if (backend_ == "host") return execute(*experiment_);
  if (backend_ == "mpi") return launch(*experiment_);
  throw UsageError("--backend is 'host' or 'mpi', not '" + backend_ + "'" + did_you_mean(backend_, {"host", "mpi"}));
}

}  // namespace

std::unique_ptr<Command> make_execute_command(Syntax& syntax) { return std::make_unique<ExecuteCommand>(syntax); }

}  // namespace fabricast::tools
