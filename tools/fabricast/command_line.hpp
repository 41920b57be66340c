// The command line's parser as commands see it: what they take, in words, and where it goes. Knows no command. CLI11 stays in the .cpp: a
// file that includes it takes fifteen seconds to compile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/fabricast/exit_code.hpp"

namespace CLI {
class App;
}

namespace fabricast::tools {

/// Declares what one command takes. Targets keep their address until the command has run; what they hold when declared is the default.
class Syntax {
 public:
  explicit Syntax(CLI::App& command) : command_(command) {}

  /// Arguments by place, required but for the optional ones. A list takes one or more.
  void argument(const std::string& name, std::string& target, const std::string& help, const std::string& type = "FILE");
  void optional_argument(const std::string& name, std::optional<std::string>& target, const std::string& help, const std::string& type = "FILE");
  void arguments(const std::string& name, std::vector<std::string>& target, const std::string& help, const std::string& type = "FILE");
  void optional_arguments(const std::string& name, std::vector<std::string>& target, const std::string& help, const std::string& type = "FILE");

  /// Options by name ("--json" or "-n,--steps"). `type` names the value in the help text. A list takes one value each time it is given.
  void option(const std::string& names, std::string& target, const std::string& help, const std::string& type);
  void option(const std::string& names, std::optional<std::string>& target, const std::string& help, const std::string& type);
  void option(const std::string& names, std::vector<std::string>& target, const std::string& help, const std::string& type);
  void option(const std::string& names, std::int64_t& target, const std::string& help, const std::string& type = "N");
  void option(const std::string& names, std::optional<std::int64_t>& target, const std::string& help, const std::string& type = "N");
  void option(const std::string& names, double& target, const std::string& help, const std::string& type);
  void flag(const std::string& names, bool& target, const std::string& help);

  /// A worked example, printed below the options.
  void example(const std::string& text);

 private:
  CLI::App& command_;
};

/// Declares its options when constructed, and runs with what was parsed.
class Command {
 public:
  Command() = default;
  virtual ~Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  [[nodiscard]] virtual ExitCode run() const = 0;
};

/// A subcommand and how it is made.
struct CommandEntry {
  std::string name, help;
  std::function<std::unique_ptr<Command>(Syntax&)> make;
};

/// What the parser understood: a command to run, or a text to print (--help, --version).
struct ParsedLine {
  std::unique_ptr<Command> command;
  std::string text;
};

/// Throws UsageError: one line that names the word at fault and what would be right.
[[nodiscard]] ParsedLine parse_command_line(int argc, char** argv, const std::vector<CommandEntry>& entries);

}  // namespace fabricast::tools
