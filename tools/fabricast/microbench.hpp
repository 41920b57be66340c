// fabricast execute --microbench: single kernels and collectives of this machine, for calibrate. Knows no schedule being run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/bench_plan.hpp"
#include "runtime/cuda_plugin.hpp"
#include "tools/fabricast/exit_code.hpp"
#include "tools/fabricast/options.hpp"

namespace fabricast::tools {

struct MicrobenchOptions {
  std::optional<std::string> experiment;   // its shapes and its number of ranks; else a table of the usual ones
  std::optional<std::int64_t> ranks;       // without an experiment: so many at once (default: the machine's processors)
  std::int64_t repetitions = 20;
};

/// What to measure. Throws UsageError, hw::ConfigError.
[[nodiscard]] runtime::BenchPlan bench_plan(const MicrobenchOptions& options, const std::vector<std::string>& sets);

/// On one GPU; `cuda` says which, and what goes on beside kernels. Throws as below, and runtime::ExecutionError.
[[nodiscard]] ExitCode microbench_on_cuda(const MicrobenchOptions& options, runtime::CudaBenchOptions cuda, const CommonOptions& common);

/// On the host. Throws UsageError, hw::ConfigError, runtime::BackendUnavailable.
[[nodiscard]] ExitCode microbench(const MicrobenchOptions& options, const CommonOptions& common);

}  // namespace fabricast::tools
