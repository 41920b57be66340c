#include <optional>

#include "strategies/ir/schedule_json.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "validation/description.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"

namespace fabricast::tools {

namespace {

class DescribeCommand final : public Command {
 public:
  explicit DescribeCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  CommonOptions common_;
  std::optional<std::string> schedule_;
  std::string experiment_;
};

DescribeCommand::DescribeCommand(Syntax& syntax) {
  syntax.argument("experiment", experiment_, "Experiment file");
  syntax.option("--schedule", schedule_, "Write the whole schedule as JSON: programs, buffers, groups, ranks", "FILE");
  common_.declare(syntax);
  syntax.example(
      "Example: which ranks form groups if tensor parallelism is 4\n"
      "  fabricast describe configs/experiments/ep64_tp2.json --set strategy.tensor=4 --set strategy.expert=32");
}

ExitCode DescribeCommand::run() const {
  require_apart({{"--json", common_.json}, {"--schedule", schedule_}});
  const validation::Experiment experiment = validation::load_experiment(experiment_, common_.sets);
  std::optional<Output> json, schedule;
  if (common_.json) json.emplace(*common_.json);
  if (schedule_) schedule.emplace(*schedule_);
  const validation::Plan plan = validation::plan(experiment);
  const validation::Description description = validation::describe(experiment, plan);
  if (schedule) {
    schedule->stream() << ir::to_json(plan.schedule);
    schedule->commit();
  }
  if (json) {
    json->stream() << validation::to_json(description);
    json->commit();
  }
  if (common_.prints_summary()) print(validation::summary(description, {colour_on_standard_output()}));
  return ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_describe_command(Syntax& syntax) { return std::make_unique<DescribeCommand>(syntax); }

}  // namespace fabricast::tools
