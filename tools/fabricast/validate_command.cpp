#include <optional>

#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/measured_trace.hpp"
#include "validation/trace_validation.hpp"

namespace fabricast::tools {

namespace {

class ValidateCommand final : public Command {
 public:
  explicit ValidateCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  CommonOptions common_;
  std::string experiment_;
  std::optional<std::string> trace_;
};

ValidateCommand::ValidateCommand(Syntax& syntax) {
  syntax.argument("experiment", experiment_, "Experiment file, of which --trace has a measured step");
  syntax.option("--trace", trace_, "Measured step, as `fabricast execute --measured` writes it", "FILE");
  common_.declare(syntax);
  syntax.example(
      "Example: which ops make the forecast of a step wrong\n"
      "  fabricast execute configs/experiments/ep64_tp2_tiny.json --measured measured.jsonl\n"
      "  fabricast validate configs/experiments/ep64_tp2_tiny.json --trace measured.jsonl");
}

ExitCode ValidateCommand::run() const {
  if (!trace_) throw UsageError("validate needs a measured step: --trace FILE, which fabricast execute --measured FILE writes");
  const validation::Experiment experiment = validation::load_experiment(experiment_, common_.sets);
  const validation::MeasuredTrace measured = validation::read_measured_trace(*trace_);
  std::optional<Output> json;
  if (common_.json) json.emplace(*common_.json);
  const validation::Forecast forecast = validation::forecast(experiment, {});
  const ir::Trace trace = validation::as_trace(measured, forecast.schedule);
  validation::TraceValidation result = validation::validate_trace(forecast.schedule, forecast.instances, forecast.result.trace, trace);
  result.experiment = experiment.name;
  result.backend = measured.header.backend;
  if (json) {
    json->stream() << validation::to_json(result);
    json->commit();
  }
  if (common_.prints_summary()) print(validation::summary(result, {colour_on_standard_output()}));
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_validate_command(Syntax& syntax) { return std::make_unique<ValidateCommand>(syntax); }

}  // namespace fabricast::tools
