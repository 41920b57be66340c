// Options that commands share, and what they mean. Knows no command.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "sim/simulate.hpp"
#include "tools/fabricast/command_line.hpp"

namespace fabricast::tools {

/// A command line that cannot be carried out. One line, with the remedy.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CommonOptions {
  std::vector<std::string> sets;          // "path.to.key=value"
  std::optional<std::string> json;
  bool quiet = false;

  void declare(Syntax& syntax);
  /// Results for people go to standard output unless --quiet, or --json - which has it to itself.
  [[nodiscard]] bool prints_summary() const;
};

struct SimulationOptions {
  std::optional<std::string> trace;
  std::string fidelity = "flow", interference = "on";
  bool require_fit = false;
  bool unfolded = false;

  void declare(Syntax& syntax, const std::string& trace_help);
  void declare_model(Syntax& syntax);                            // --fidelity and --interference alone
  [[nodiscard]] sim::SimulateOptions simulate_options() const;   // throws UsageError
};

/// How many points are forecast at a time.
struct ThreadOptions {
  std::optional<std::int64_t> threads;

  void declare(Syntax& syntax);
  [[nodiscard]] std::size_t count() const;   // the processors that this process may use, unless given; throws UsageError
};

/// Throws UsageError where two of the outputs (option and path, as given) are one file or both are standard output.
void require_apart(const std::vector<std::pair<std::string, std::optional<std::string>>>& outputs);

/// ", did you mean 'simulate'?" or nothing.
[[nodiscard]] std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace fabricast::tools
