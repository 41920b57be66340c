#include <iostream>
#include <limits>
#include <optional>

#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/agreement.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/judge.hpp"
#include "validation/measured_trace.hpp"
#include "validation/rank_validation.hpp"
#include "validation/trace_validation.hpp"

namespace fabricast::tools {

namespace {

class ValidateCommand final : public Command {
 public:
  explicit ValidateCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  [[nodiscard]] ExitCode judge_sets() const;
  [[nodiscard]] ExitCode judge_step(const std::string& trace) const;
  [[nodiscard]] ExitCode judge_rank(const validation::Experiment& experiment, const validation::MeasuredTrace& measured, Rank rank,
                                    std::optional<Output>& json) const;

  CommonOptions common_;
  std::vector<std::string> inputs_, kinds_;
  std::optional<std::string> trace_, gpu_, cluster_, csv_;
  std::string configs_ = "configs", system_;
  bool rows_ = false;
};

ValidateCommand::ValidateCommand(Syntax& syntax) {
  syntax.arguments("sets", inputs_, "Measurements, published tables, or folders of them; with --trace the experiment that was measured",
                   "FILE|DIR");
  syntax.option("--trace", trace_, "Measured step, as `fabricast execute --measured` writes it: judge the forecast op by op; of one rank (--slice): its computation", "FILE");
  syntax.option("--gpu", gpu_, "Profile for all kernels, whatever system they name", "FILE");
  syntax.option("--cluster", cluster_, "Cluster for all collectives, whatever system they name", "FILE");
  syntax.option("--configs", configs_, "Folder with the profiles and clusters of the systems that tables name", "DIR");
  syntax.option("--system", system_, "Judge this system's rows only, such as h100_sxm", "NAME");
  syntax.option("--kind", kinds_, "Judge kinds that contain this text, such as 'gemm bf16'; repeatable", "TEXT");
  syntax.flag("--rows", rows_, "Print every row too");
  syntax.option("--csv", csv_, "Write every row as CSV", "FILE");
  common_.declare(syntax);
  syntax.example(
      "Example: how far the model is from published GEMM times\n"
      "  fabricast validate validation/published --kind gemm\n"
      "Example: how far it is from what nccl-tests printed on a cluster of your own\n"
      "  fabricast validate all_reduce.txt --cluster configs/clusters/h100_1x8.json\n"
      "Example: which ops make the forecast of a step wrong\n"
      "  fabricast execute configs/experiments/ep64_tp2_tiny.json --measured measured.jsonl\n"
      "  fabricast validate configs/experiments/ep64_tp2_tiny.json --trace measured.jsonl");
}

/// A slice runs without communication, and so does its forecast.
ExitCode ValidateCommand::judge_rank(const validation::Experiment& experiment, const validation::MeasuredTrace& measured, Rank rank,
                                     std::optional<Output>& json) const {
  const validation::Forecast forecast = validation::forecast(experiment, {.interference = false});
  const validation::RankValidation result =
      validation::validate_rank(forecast.schedule, ir::of_each_rank(forecast.result.trace), measured, rank);
  if (json) {
    json->stream() << validation::to_json(result);
    json->commit();
  }
  if (common_.prints_summary()) print(validation::summary(result, {colour_on_standard_output()}));
  return ExitCode::success;
}

ExitCode ValidateCommand::judge_step(const std::string& trace_file) const {
  if (inputs_.size() != 1) throw UsageError("--trace judges one experiment, and " + std::to_string(inputs_.size()) + " were given");
  if (gpu_ || cluster_ || csv_ || rows_ || !system_.empty() || !kinds_.empty()) {
    throw UsageError("--gpu, --cluster, --system, --kind, --rows and --csv are for sets of measurements, and have no meaning beside --trace");
  }
  const validation::Experiment experiment = validation::load_experiment(inputs_.front(), common_.sets);
  const validation::MeasuredTrace measured = validation::read_measured_trace(trace_file);
  std::optional<Output> json;
  if (common_.json) json.emplace(*common_.json);
  if (const auto rank = validation::only_rank(measured)) return judge_rank(experiment, measured, *rank, json);
  const validation::Forecast forecast = validation::forecast(experiment, {});
  const ir::Trace trace = validation::as_trace(measured, forecast.schedule);
  validation::TraceValidation result =
      validation::validate_trace(forecast.schedule, forecast.instances, ir::of_each_rank(forecast.result.trace), trace);
  result.experiment = experiment.name;
  result.backend = measured.header.backend;
  if (json) {
    json->stream() << validation::to_json(result);
    json->commit();
  }
  if (common_.prints_summary()) print(validation::summary(result, {colour_on_standard_output()}));
  return ExitCode::success;
}

ExitCode ValidateCommand::judge_sets() const {
  if (!common_.sets.empty()) throw UsageError("--set changes an experiment, and is for --trace only");
  validation::JudgeOptions options;
  options.configs = configs_;
  if (gpu_) options.gpu = *gpu_;
  if (cluster_) options.cluster = *cluster_;
  options.system = system_;
  options.kinds = kinds_;
  std::optional<Output> json, csv;
  if (common_.json) json.emplace(*common_.json);
  if (csv_) csv.emplace(*csv_);
  std::vector<std::string> notes;
  const std::vector<validation::Measurements> sets = validation::read_sets(inputs_, notes);
  const validation::Agreement result = validation::agreement(validation::judge(sets, options, notes));
  for (const std::string& note : notes) std::cerr << "fabricast: " << note << '\n';
  if (csv) {
    csv->stream() << validation::to_csv(result);
    csv->commit();
  }
  if (json) {
    json->stream() << validation::to_json(result);
    json->commit();
  }
  if (!common_.prints_summary()) return ExitCode::success;
  if (rows_) print(validation::agreement_rows(result, std::numeric_limits<std::size_t>::max()) + '\n');
  print(validation::agreement_table(result));
  return ExitCode::success;
}

ExitCode ValidateCommand::run() const { return trace_ ? judge_step(*trace_) : judge_sets(); }

}  // namespace

std::unique_ptr<Command> make_validate_command(Syntax& syntax) { return std::make_unique<ValidateCommand>(syntax); }

}  // namespace fabricast::tools
