// fabricast execute --microbench: single kernels and collectives of this machine, for calibrate. Knows no schedule being run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/bench_plan.hpp"
#include "tools/fabricast/exit_code.hpp"
#include "tools/fabricast/options.hpp"

namespace fabricast::tools {

struct MicrobenchOptions {
  std::optional<std::string> experiment;   // its shapes and its number of ranks; else a table of the usual ones
  std::optional<std::int64_t> ranks;       // without an experiment: so many at once (default: the machine's processors)
  std::int64_t repetitions = 20;
};

/// ISO 8601, UTC.
[[nodiscard]] std::string date_and_time();

/// What to measure. Throws UsageError, hw::ConfigError.
[[nodiscard]] runtime::BenchPlan bench_plan(const MicrobenchOptions& options, const std::vector<std::string>& sets);

/// On the host. Throws UsageError, hw::ConfigError, runtime::BackendUnavailable.
[[nodiscard]] ExitCode microbench(const MicrobenchOptions& options, const CommonOptions& common);

}  // namespace fabricast::tools
