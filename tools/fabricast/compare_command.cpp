#include <algorithm>
#include <optional>
#include <utility>

#include "hardware_models/config_error.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "tools/fabricast/sweep.hpp"
#include "validation/chrome_trace.hpp"
#include "validation/compare.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/report.hpp"

namespace fabricast::tools {

namespace {

using validation::Experiment;
using validation::Report;

Report report_of(const Experiment& experiment, const sim::SimulateOptions& options, const std::optional<std::string>& trace) {
  std::optional<Output> file;
  if (trace) file.emplace(*trace);
  const validation::Forecast forecast = validation::forecast(experiment, options);
  if (file) {
    validation::write_chrome_trace(forecast, file->stream());
    file->commit();
    note(validation::note_on_shown_ranks(forecast));
  }
  return validation::summarize(experiment, forecast, options.fidelity);
}

/// Their names for files: the second of one name is "name.2", so that it takes no other's place.
std::vector<std::string> apart(const std::vector<Experiment>& experiments) {
  std::vector<std::string> names;
  for (const Experiment& experiment : experiments) {
    std::string name = plain_name(experiment.name);
    for (int i = 2; std::find(names.begin(), names.end(), name) != names.end(); ++i) name = plain_name(experiment.name) + "." + std::to_string(i);
    names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> joined(std::vector<std::string> sets, const std::vector<std::string>& more) {
  sets.insert(sets.end(), more.begin(), more.end());
  return sets;
}

/// Tries every combination; those that the configuration forbids carry the reason. Throws the first reason if all are forbidden.
validation::Sweep sweep(const std::string& path, const CommonOptions& common, const std::vector<std::string>& axes,
                        sim::SimulateOptions options) {
  options.record_link_rates = false;
  validation::Sweep result;
  std::optional<hw::ConfigError> first_error;
  for (auto& sets : combinations(axes)) {
    validation::SweepPoint point{std::move(sets), {}, {}};
    try {
      point.report = report_of(validation::load_experiment(path, joined(common.sets, point.sets)), options, {});
    } catch (const hw::ConfigError& error) {
      if (!first_error) first_error = error;
      point.error = error.what();
    }
    result.points.push_back(std::move(point));
  }
  const auto best = validation::best_point(result.points);
  if (!best) throw *first_error;
  result.best = *best;
  return result;
}

class CompareCommand final : public Command {
 public:
  explicit CompareCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  CommonOptions common_;
  SimulationOptions simulation_;
  std::vector<std::string> experiments_;   // the first is the baseline
  std::vector<std::string> best_;          // "KEY=V1,V2,…": settings of the baseline to try
};

CompareCommand::CompareCommand(Syntax& syntax) {
  syntax.arguments("experiments", experiments_, "Experiment files, the baseline first");
  syntax.option("--best", best_, "Try these values of a key on the baseline and take the best: most tokens/s of those that fit; repeatable",
                "PATH.TO.KEY=V1,V2,...");
  simulation_.declare(syntax, "Write a Chrome trace per experiment, its name put before the extension (or into the directory FILE)");
  common_.declare(syntax);
  syntax.example(
      "Example: expert parallelism against a pipeline at its best number of micro-batches\n"
      "  fabricast compare configs/experiments/baseline_tp8_pp2.json configs/experiments/ep64_tp2.json \\\n"
      "      --best workload.micro_batches=1,2,4,8,16");
}

ExitCode CompareCommand::run() const {
  const sim::SimulateOptions options = simulation_.simulate_options();
  std::optional<Output> json;
  if (common_.json) json.emplace(*common_.json);

  validation::Comparison comparison;
  std::vector<std::string> baseline_sets = common_.sets;
  if (!best_.empty()) {
    comparison.baseline_sweep = sweep(experiments_.front(), common_, best_, options);
    const validation::Sweep& swept = *comparison.baseline_sweep;
    baseline_sets = joined(baseline_sets, swept.points[swept.best].sets);
  }
  std::vector<Experiment> experiments;
  for (std::size_t i = 0; i < experiments_.size(); ++i) {
    experiments.push_back(validation::load_experiment(experiments_[i], i == 0 ? baseline_sets : common_.sets));
  }
  const std::vector<std::string> names = apart(experiments);
  for (std::size_t i = 0; i < experiments.size(); ++i) {
    const auto trace = simulation_.trace ? std::optional(path_for(*simulation_.trace, names[i])) : std::nullopt;
    comparison.reports.push_back(report_of(experiments[i], options, trace));
  }

  if (json) {
    json->stream() << validation::to_json(comparison);
    json->commit();
  }
  if (common_.prints_summary()) print(validation::summary(comparison, {colour_on_standard_output()}));
  const bool all_fit = std::all_of(comparison.reports.begin(), comparison.reports.end(), [](const Report& r) { return r.memory.fits; });
  return simulation_.require_fit && !all_fit ? ExitCode::answer_is_no : ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_compare_command(Syntax& syntax) { return std::make_unique<CompareCommand>(syntax); }

}  // namespace fabricast::tools
