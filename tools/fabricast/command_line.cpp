#include "tools/fabricast/command_line.hpp"

#include <CLI/CLI.hpp>

#include <sstream>
#include <utility>

#include "tools/fabricast/options.hpp"

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

/// Throws UsageError naming the first word that no command or option takes, and the nearest that one does.
void reject_leftovers(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) reject_leftovers_of(*command);
  const std::vector<std::string> words = app.remaining();
  if (words.empty()) return;
  const std::string& word = words.front();
  if (is_option(word)) throw UsageError("no option '" + word + "'" + did_you_mean(word, option_names(app)));
  throw UsageError("no command '" + word + "'" + did_you_mean(word, command_names(app)));
}

/// --help and --version also end parsing; their text is a result.
std::string end_of_parsing(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {
    std::ostringstream text;
    app.exit(error, text, text);
    return text.str();
  }
  reject_leftovers(app);
  throw UsageError(std::string(error.what()) + " (see fabricast --help)");
}

}  // namespace

void Syntax::argument(const std::string& name, std::string& target, const std::string& help, const std::string& type) {
  command_.add_option(name, target, help)->required()->type_name(type);
}

void Syntax::optional_argument(const std::string& name, std::optional<std::string>& target, const std::string& help,
                               const std::string& type) {
  command_.add_option(name, target, help)->type_name(type);
}

void Syntax::arguments(const std::string& name, std::vector<std::string>& target, const std::string& help, const std::string& type) {
  command_.add_option(name, target, help)->required()->type_name(type);
}

void Syntax::optional_arguments(const std::string& name, std::vector<std::string>& target, const std::string& help, const std::string& type) {
  command_.add_option(name, target, help)->type_name(type);
}

void Syntax::option(const std::string& names, std::string& target, const std::string& help, const std::string& type) {
  command_.add_option(names, target, help)->type_name(type)->capture_default_str();
}

void Syntax::option(const std::string& names, std::optional<std::string>& target, const std::string& help, const std::string& type) {
  command_.add_option(names, target, help)->type_name(type);
}

void Syntax::option(const std::string& names, std::vector<std::string>& target, const std::string& help, const std::string& type) {
  command_.add_option(names, target, help)->type_name(type)->allow_extra_args(false);
}

void Syntax::option(const std::string& names, std::int64_t& target, const std::string& help, const std::string& type) {
  command_.add_option(names, target, help)->type_name(type)->capture_default_str();
}

void Syntax::option(const std::string& names, std::optional<std::int64_t>& target, const std::string& help, const std::string& type) {
  command_.add_option(names, target, help)->type_name(type);
}

void Syntax::option(const std::string& names, double& target, const std::string& help, const std::string& type) {
  command_.add_option(names, target, help)->type_name(type)->capture_default_str();
}

void Syntax::flag(const std::string& names, bool& target, const std::string& help) { command_.add_flag(names, target, help); }

void Syntax::example(const std::string& text) { command_.footer(text); }

ParsedLine parse_command_line(int argc, char** argv, const std::vector<CommandEntry>& entries) {
  CLI::App app("Forecasts how fast a GPU cluster runs a model under a parallel strategy.", "fabricast");
  app.set_version_flag("--version", "fabricast " FABRICAST_VERSION);
  app.require_subcommand(1);
  app.allow_extras();   // so that reject_leftovers can say what was meant
  app.get_formatter()->column_width(36);
  app.footer(
      "Example: how fast the guide's 128-GPU expert-parallel job runs\n"
      "  fabricast simulate configs/experiments/ep64_tp2.json\n"
      "Each command has more: fabricast COMMAND --help\n"
      "Exit code: 0 success, 1 the answer is no, 2 the input is at fault, 3 a defect of fabricast.");
  std::vector<std::pair<CLI::App*, std::unique_ptr<Command>>> commands;
  for (const CommandEntry& entry : entries) {
    CLI::App* subcommand = app.add_subcommand(entry.name, entry.help);
    subcommand->allow_extras();
    Syntax syntax(*subcommand);
    commands.emplace_back(subcommand, entry.make(syntax));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {nullptr, end_of_parsing(app, error)};
  }
  reject_leftovers(app);
  for (auto& [subcommand, command] : commands) {
    if (subcommand->parsed()) return {std::move(command), {}};
  }
  throw std::logic_error("the command line named a command that nobody runs");
}

}  // namespace fabricast::tools
