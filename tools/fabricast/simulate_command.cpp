#include <optional>

#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/chrome_trace.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/report.hpp"
#include "validation/report_html.hpp"
#include "validation/sensitivity.hpp"
#include "validation/summary.hpp"

namespace fabricast::tools {

namespace {

class SimulateCommand final : public Command {
 public:
  explicit SimulateCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  CommonOptions common_;
  SimulationOptions simulation_;
  std::string experiment_;
  std::optional<std::string> report_;
  bool sensitivity_ = false;
};

SimulateCommand::SimulateCommand(Syntax& syntax) {
  syntax.argument("experiment", experiment_, "Experiment file");
  simulation_.declare(syntax, "Write a Chrome trace, which https://ui.perfetto.dev opens; - is standard output (then without the summary)");
  syntax.option("--report", report_, "Write the report as an HTML page that needs nothing else", "FILE.html");
  syntax.flag("--sensitivity", sensitivity_, "Say what 10 % better hardware would bring, one knob at a time with the schedule fixed");
  common_.declare(syntax);
  syntax.example(
      "Example: twice the sequences on GPUs of 64 GiB, with a timeline\n"
      "  fabricast simulate configs/experiments/ep64_tp2.json --set workload.sequences=256 \\\n"
      "      --set cluster.gpu.memory=\"64 GiB\" --trace trace.json");
}

ExitCode SimulateCommand::run() const {
  const sim::SimulateOptions options = simulation_.simulate_options();
  require_apart({{"--json", common_.json}, {"--trace", simulation_.trace}, {"--report", report_}});
  const validation::Experiment experiment = validation::load_experiment(experiment_, common_.sets);
  std::optional<Output> json, trace, page;
  if (common_.json) json.emplace(*common_.json);
  if (simulation_.trace) trace.emplace(*simulation_.trace);
  if (report_) page.emplace(*report_);

  const validation::Forecast forecast = validation::forecast(experiment, options);
  validation::Report report = validation::summarize(experiment, forecast, options.fidelity);
  if (sensitivity_) report.sensitivity = validation::sensitivity(experiment, forecast, options);
  if (trace) {
    validation::write_chrome_trace(forecast, trace->stream());
    trace->commit();
    note(validation::note_on_shown_ranks(forecast));
  }
  if (json) {
    json->stream() << validation::to_json(report);
    json->commit();
  }
  if (page) {
    page->stream() << validation::to_html(report);
    page->commit();
  }
  const auto is_output = [](const std::optional<std::string>& path) { return path && Output::is_standard_output(*path); };
  if (common_.prints_summary() && !is_output(simulation_.trace) && !is_output(report_)) print(validation::summary(report, {colour_on_standard_output()}));
  return simulation_.require_fit && !report.memory.fits ? ExitCode::answer_is_no : ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_simulate_command(Syntax& syntax) { return std::make_unique<SimulateCommand>(syntax); }

}  // namespace fabricast::tools
