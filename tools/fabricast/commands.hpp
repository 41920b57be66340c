// The commands: each declares its options on the command line's parser and runs once parsed. Knows no exit path but its answer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/fabricast/exit_code.hpp"
#include "tools/fabricast/options.hpp"

namespace CLI {
class App;
}

namespace fabricast::tools {

/// The parser keeps addresses of the options, so a command stays where it was made.
class SimulateCommand {
 public:
  explicit SimulateCommand(CLI::App& app);
  SimulateCommand(const SimulateCommand&) = delete;
  SimulateCommand& operator=(const SimulateCommand&) = delete;

  [[nodiscard]] bool chosen() const;
  [[nodiscard]] ExitCode run() const;

 private:
  CLI::App& command_;
  CommonOptions common_;
  SimulationOptions simulation_;
  std::string experiment_;
};

class CompareCommand {
 public:
  explicit CompareCommand(CLI::App& app);
  CompareCommand(const CompareCommand&) = delete;
  CompareCommand& operator=(const CompareCommand&) = delete;

  [[nodiscard]] bool chosen() const;
  [[nodiscard]] ExitCode run() const;

 private:
  CLI::App& command_;
  CommonOptions common_;
  SimulationOptions simulation_;
  std::vector<std::string> experiments_;   // the first is the baseline
  std::vector<std::string> best_;          // "KEY=V1,V2,…": settings of the baseline to try
};

class DescribeCommand {
 public:
  explicit DescribeCommand(CLI::App& app);
  DescribeCommand(const DescribeCommand&) = delete;
  DescribeCommand& operator=(const DescribeCommand&) = delete;

  [[nodiscard]] bool chosen() const;
  [[nodiscard]] ExitCode run() const;

 private:
  CLI::App& command_;
  CommonOptions common_;
  std::optional<std::string> schedule_;
  std::string experiment_;
};

}  // namespace fabricast::tools
