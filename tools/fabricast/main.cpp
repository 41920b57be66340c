// fabricast: parse the command line, run one command, turn what went wrong into an exit code and one line.
#include <csignal>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "runtime/executor.hpp"
#include "tools/fabricast/commands.hpp"
#include "tools/fabricast/options.hpp"
#include "tools/fabricast/output.hpp"

namespace fabricast::tools {

namespace {

ExitCode complain(std::string message, ExitCode code) {
  for (char& c : message) c = c == '\n' ? ' ' : c;
  std::cerr << "fabricast: " << message << '\n';
  return code;
}

const std::vector<CommandEntry>& commands() {
  static const std::vector<CommandEntry> entries{
      {"simulate", "Forecast one step of an experiment", make_simulate_command},
      {"compare", "Forecast experiments side by side; the first is the baseline", make_compare_command},
      {"describe", "Show what an experiment runs where, without simulating it", make_describe_command},
      {"sweep", "Forecast a grid of settings of an experiment; can be resumed and sharded", make_sweep_command},
      {"search", "Find the fastest strategies for a model on a cluster within its memory", make_search_command},
      {"bench-collective", "Forecast one collective alone, over a range of sizes", make_bench_collective_command},
      {"calibrate", "Fit a profile of the hardware to measurements", make_calibrate_command},
      {"validate", "Hold predictions against measured or published times, or a forecast against a measured step", make_validate_command},
      {"import", "Turn what other tools wrote into measurements, a cluster or a model", make_import_command},
      {"audit", "Judge a published table of claims by what the model says", make_audit_command},
      {"check", "Hold predictions against a committed baseline, for CI", make_check_command},
      {"execute", "Run an experiment's schedule for real, measure it and check its numbers", make_execute_command},
      {"merge", "Merge the measured traces of single ranks into one", make_merge_command},
  };
  return entries;
}

ExitCode run_command(int argc, char** argv) {
  const ParsedLine parsed = parse_command_line(argc, argv, commands());
  if (parsed.command) return parsed.command->run();
  print(parsed.text);
  return ExitCode::success;
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
  } catch (const runtime::BackendUnavailable& error) {
    return complain(error.what(), ExitCode::input_at_fault);
  } catch (const runtime::ExecutionError& error) {
    return complain(error.what(), ExitCode::answer_is_no);
  } catch (const std::overflow_error& error) {
    return complain(std::string("the experiment is beyond what can be simulated: ") + error.what(), ExitCode::input_at_fault);
  } catch (const std::bad_alloc&) {
    return complain("not enough memory for an experiment of this size", ExitCode::input_at_fault);
  } catch (const std::exception& error) {
    return complain(std::string("internal error, please report it: ") + error.what(), ExitCode::internal_error);
  }
}

}  // namespace fabricast::tools

int main(int argc, char** argv) { return static_cast<int>(fabricast::tools::run(argc, argv)); }
