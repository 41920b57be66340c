#include "tools/fabricast/options.hpp"

#include <CLI/CLI.hpp>

#include "hardware_models/edit_distance.hpp"
#include "tools/fabricast/output.hpp"

namespace fabricast::tools {

namespace {

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  return names;
}

bool is_option(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

void reject_leftovers_of(const CLI::App& command) {
  const std::vector<std::string> words = command.remaining();
  for (const std::string& word : words) {
    if (!is_option(word)) continue;
    const std::string name = word.substr(0, word.find('='));
    throw UsageError(command.get_name() + " has no option '" + name + "'" + did_you_mean(name, option_names(command)));
  }
  if (!words.empty()) throw UsageError(command.get_name() + " takes no further argument '" + words.front() + "'");
}

}  // namespace

void CommonOptions::declare(CLI::App& command) {
  command.add_option("--set", sets, "Change a key of the experiment, or of a file that it names; repeatable")
      ->type_name("PATH.TO.KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--json", json, "Write the result as JSON; - is standard output (then without the summary)")->type_name("FILE");
  command.add_flag("-q,--quiet", quiet, "Print no summary");
}

bool CommonOptions::prints_summary() const { return !quiet && !(json && Output::is_standard_output(*json)); }

void SimulationOptions::declare(CLI::App& command, const std::string& trace_help) {
  command.add_option("--trace", trace, trace_help)->type_name("FILE");
  command.add_option("--fidelity", fidelity, "Network model: bound (byte floor plus latency) or flow (links shared max-min fairly)")
      ->type_name("bound|flow")
      ->capture_default_str();
  command.add_flag("--require-fit", require_fit, "Exit with 1 if the fullest GPU's memory does not suffice");
}

sim::SimulateOptions SimulationOptions::simulate_options() const {
  sim::SimulateOptions options;
  options.record_link_rates = trace.has_value();
  if (fidelity == "bound") {
    options.fidelity = sim::Fidelity::bound;
  } else if (fidelity != "flow") {
    throw UsageError("--fidelity is 'bound' or 'flow', not '" + fidelity + "'" + did_you_mean(fidelity, {"bound", "flow"}));
  }
  return options;
}

void reject_leftovers(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) reject_leftovers_of(*command);
  const std::vector<std::string> words = app.remaining();
  if (words.empty()) return;
  const std::string& word = words.front();
  if (is_option(word)) throw UsageError("no option '" + word + "'" + did_you_mean(word, option_names(app)));
  throw UsageError("no command '" + word + "'" + did_you_mean(word, command_names(app)));
}

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  const auto near = hw::nearest(word, candidates);
  if (near) return ", did you mean '" + *near + "'?";
  std::string all;
  for (const std::string& candidate : candidates) all += (all.empty() ? "" : ", ") + candidate;
  return " (there are: " + all + ")";
}

}  // namespace fabricast::tools
