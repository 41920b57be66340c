// fabricast: parse the command line, run one command, turn what went wrong into an exit code and one line.
#include <CLI/CLI.hpp>

#include <csignal>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "hardware_models/config_error.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/output.hpp"

namespace fabricast::tools {

namespace {

ExitCode complain(std::string message, ExitCode code) {
  for (char& c : message) c = c == '\n' ? ' ' : c;
  std::cerr << "fabricast: " << message << '\n';
  return code;
}

/// --help and --version also end parsing; their text is a result.
ExitCode end_of_parsing(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) {
    std::ostringstream text;
    app.exit(error, text, text);
    print(text.str());
    return ExitCode::success;
  }
  reject_leftovers(app);
  return complain(std::string(error.what()) + " (see fabricast --help)", ExitCode::input_at_fault);
}

ExitCode run_command(int argc, char** argv) {
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
  const SimulateCommand simulate(app);
  const CompareCommand compare(app);
  const DescribeCommand describe(app);
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) command->allow_extras();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return end_of_parsing(app, error);
  }
  reject_leftovers(app);
  if (simulate.chosen()) return simulate.run();
  if (compare.chosen()) return compare.run();
  if (describe.chosen()) return describe.run();
  throw std::logic_error("the command line named a command that nobody runs");
}

}  // namespace

ExitCode run(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);   // a reader that goes away is told apart by print()
  try {
    return run_command(argc, argv);
  } catch (const ReaderGone&) {
    return ExitCode::success;
  } catch (const hw::ConfigError& error) {
    return complain(error.what(), ExitCode::input_at_fault);
  } catch (const UsageError& error) {
    return complain(error.what(), ExitCode::input_at_fault);
  } catch (const OutputError& error) {
    return complain(error.what(), ExitCode::input_at_fault);
  } catch (const std::bad_alloc&) {
    return complain("not enough memory for an experiment of this size", ExitCode::input_at_fault);
  } catch (const std::exception& error) {
    return complain(std::string("internal error, please report it: ") + error.what(), ExitCode::internal_error);
  }
}

}  // namespace fabricast::tools

int main(int argc, char** argv) { return static_cast<int>(fabricast::tools::run(argc, argv)); }
