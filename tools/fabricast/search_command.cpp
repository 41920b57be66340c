#include <filesystem>
#include <optional>
#include <string>

#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"
#include "tools/fabricast/progress.hpp"
#include "validation/search.hpp"
#include "validation/search_text.hpp"

namespace fabricast::tools {

namespace {

class SearchCommand final : public Command {
 public:
  explicit SearchCommand(Syntax& syntax);
  [[nodiscard]] ExitCode run() const override;

 private:
  CommonOptions common_;
  SimulationOptions simulation_;
  ThreadOptions threads_;
  std::string search_;
  std::optional<std::string> write_;
  bool exhaustive_ = false, pareto_ = false;
};

SearchCommand::SearchCommand(Syntax& syntax) {
  syntax.argument("search", search_, "Search file: a model, a cluster, a workload, and what strategies may choose");
  syntax.option("--write", write_, "Write the best strategy as an experiment, which simulate forecasts the same", "FILE");
  syntax.flag("--pareto", pareto_, "Find also the fastest within every smaller memory: more has to be simulated");
  syntax.flag("--exhaustive", exhaustive_, "Simulate all that fit; the best are the same, as the bounds that spare it are valid");
  threads_.declare(syntax);
  simulation_.declare_model(syntax);
  common_.declare(syntax);
  syntax.example(
      "Example: the best strategy of the guide's model on GPUs of which 40 GiB may be used\n"
      "  fabricast search configs/searches/guide_moe.json --set cluster.gpu.memory=\"40 GiB\" --write best.json\n"
      "Of strategies that are equally fast the one that needs less memory comes first, then the one with the lower degrees. Exit 1: nothing fits.");
}

ExitCode SearchCommand::run() const {
  require_apart({{"--json", common_.json}, {"--write", write_}});
  const validation::SearchOptions options{simulation_.simulate_options(), threads_.count(), exhaustive_, pareto_};
  const validation::SearchSpec spec = validation::load_search(search_, common_.sets);
  std::optional<Output> json, best;
  if (common_.json) json.emplace(*common_.json);
  if (write_) best.emplace(*write_);

  validation::SearchResult result;
  {
    Progress progress("strategies", common_.quiet);
    result = validation::search(spec, options, [&](std::size_t done, std::size_t all) { progress.show(done, all); });
  }
  if (json) {
    json->stream() << validation::to_json(spec, result, options);
    json->commit();
  }
  if (best && !result.best.empty()) {
    const validation::FoundStrategy& found = result.best.front();
    validation::Experiment experiment = validation::with_strategy(spec.base, found.strategy, found.micro_batches);
    experiment.name += "_best";
    const std::filesystem::path folder = Output::is_standard_output(*write_) ? std::filesystem::path() : std::filesystem::path(*write_).parent_path();
    best->stream() << validation::experiment_text(spec, experiment, "Found by fabricast search " + search_, folder);
    best->commit();
  }
  const bool written_to_output = write_ && Output::is_standard_output(*write_);
  if (common_.prints_summary() && !written_to_output) print(validation::summary(spec, result, options, {colour_on_standard_output()}));
  return result.best.empty() ? ExitCode::answer_is_no : ExitCode::success;
}

}  // namespace

std::unique_ptr<Command> make_search_command(Syntax& syntax) { return std::make_unique<SearchCommand>(syntax); }

}  // namespace fabricast::tools
