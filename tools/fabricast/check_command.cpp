#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "tools/fabricast/sweep.hpp"
#include "validation/baseline.hpp"
#include "validation/document_values.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/regression.hpp"
#include "validation/report.hpp"

namespace fabricast::tools {

namespace {

namespace fs = std::filesystem;

/// The reports of one entry, as text and as values.
struct Prediction {
  std::string name, text;
  hw::JsonNode report;
};

class CheckCommand final : public Command {
 public:
  explicit CheckCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  [[nodiscard]] std::vector<Prediction> predict(const validation::Baseline& baseline) const;
  [[nodiscard]] validation::Regression compare(const validation::Baseline& baseline, const std::vector<Prediction>& predictions) const;
  void write_reports(const std::vector<Prediction>& predictions) const;
  void update(validation::Baseline baseline, const std::vector<Prediction>& predictions) const;

  CommonOptions common_;
  std::string baseline_;
  std::optional<std::string> junit_, markdown_, against_, reports_;
  bool update_ = false;
};

CheckCommand::CheckCommand(Syntax& syntax) {
  syntax.argument("baseline", baseline_, "Baseline file");
  syntax.option("--against", against_,
                "Hold the predictions against the reports in this folder (another revision's --reports) instead of the "
                "baseline's figures",
                "REPORT_DIR");
  syntax.option("--reports", reports_, "Write the report of every experiment into this folder", "DIR");
  syntax.option("--junit", junit_, "Write the result as JUnit XML", "FILE");
  syntax.option("--markdown", markdown_, "Write the result as Markdown; appended to $GITHUB_STEP_SUMMARY, too, where that is set", "FILE");
  syntax.flag("--update", update_, "Rewrite the baseline with what is predicted now");
  common_.declare(syntax);
  syntax.example(
      "Example: has a change made anything slower, and through which ops? Exit code 1 if so\n"
      "  fabricast check validation/baselines/main.json --junit check.xml");
}

/// A file of the experiment's name in the folder.
std::string report_path(const std::string& folder, const std::string& name) {
  return (fs::path(folder) / (plain_name(name) + ".json")).string();
}

void append_step_summary(const std::string& text) {
  const char* path = std::getenv("GITHUB_STEP_SUMMARY");
  if (!path || *path == '\0') return;
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << text;
  file.flush();
  if (!file) throw OutputError(std::string("cannot append to GITHUB_STEP_SUMMARY, which names '") + path + "'");
}

void write(const std::string& path, const std::string& text) {
  Output file(path);
  file.stream() << text;
  file.commit();
}

std::vector<Prediction> CheckCommand::predict(const validation::Baseline& baseline) const {
  std::vector<Prediction> predictions;
  std::set<std::string> names;
  for (const validation::BaselineEntry& entry : baseline.entries) {
    std::vector<std::string> sets = entry.sets;
    sets.insert(sets.end(), common_.sets.begin(), common_.sets.end());
    const validation::Experiment experiment = validation::load_experiment(entry.path, sets);
    const std::string name = entry.name.empty() ? experiment.name : entry.name;
    if (!names.insert(name).second)
      throw UsageError(baseline_ + ": two experiments are called '" + name + "'; give one of them a \"name\"");
    const sim::SimulateOptions options;
    std::string text = validation::to_json(validation::summarize(experiment, validation::forecast(experiment, options), options.fidelity));
    hw::JsonNode report = hw::parse_json_text(text, "report of " + name);
    predictions.push_back({name, std::move(text), std::move(report)});
  }
  return predictions;
}

validation::Regression CheckCommand::compare(const validation::Baseline& baseline, const std::vector<Prediction>& predictions) const {
  validation::Regression regression{against_ ? *against_ : baseline_, {}};
  if (against_ && !fs::is_directory(*against_)) throw UsageError("--against " + *against_ + " is no folder; write one with --reports");
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const auto& [name, text, now] = predictions[i];
    if (!against_) {
      regression.experiments.push_back(validation::check_experiment(baseline.entries[i], name, now, nullptr));
      continue;
    }
    const std::string path = report_path(*against_, name);
    const bool known = fs::exists(path);
    const hw::JsonNode before = known ? hw::parse_json_file(path) : now;
    regression.experiments.push_back(validation::check_experiment(baseline.entries[i], name, now, &before));
    regression.experiments.back().held = known;
  }
  return regression;
}

void CheckCommand::write_reports(const std::vector<Prediction>& predictions) const {
  std::error_code error;
  fs::create_directories(*reports_, error);
  if (error) throw OutputError("cannot make the folder '" + *reports_ + "': " + error.message());
  for (const Prediction& one : predictions) write(report_path(*reports_, one.name), one.text);
}

void CheckCommand::update(validation::Baseline baseline, const std::vector<Prediction>& predictions) const {
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    validation::BaselineEntry& entry = baseline.entries[i];
    for (validation::BaselineMetric& metric : entry.metrics) metric.value = validation::number_at(predictions[i].report, metric.path);
    entry.times = validation::class_times(predictions[i].report);
  }
  write(baseline_, validation::to_json(baseline));
}

ExitCode CheckCommand::run() const {
  if (update_ && (against_ || !common_.sets.empty()))
    throw UsageError("--update writes what is predicted as it stands: it takes no --against and no --set");
  const validation::Baseline baseline = validation::load_baseline(baseline_);
  const std::vector<Prediction> predictions = predict(baseline);
  const validation::Regression regression = compare(baseline, predictions);
  const std::string markdown = validation::to_markdown(regression);
  if (reports_) write_reports(predictions);
  if (junit_) write(*junit_, validation::to_junit(regression));
  if (markdown_) write(*markdown_, markdown);
  if (common_.json) write(*common_.json, validation::to_json(regression));
  append_step_summary(markdown);
  if (common_.prints_summary()) print(validation::summary(regression, {colour_on_standard_output()}));
  if (update_) update(baseline, predictions);
  return regression.regressed() && !update_ ? ExitCode::answer_is_no : ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_check_command(Syntax& syntax) { return std::make_unique<CheckCommand>(syntax); }

}  // namespace fabricast::tools
