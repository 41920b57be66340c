// What micro-benchmarks of GPUs measure and leave behind, shared by the command and the worker. Knows no backend and no command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/bench_plan.hpp"
#include "runtime/cuda_plugin.hpp"
#include "tools/fabricast/output.hpp"

namespace fabricast::tools {

constexpr std::int64_t most_repetitions = 10'000;   // samples of each shape

/// ISO 8601, UTC.
[[nodiscard]] std::string date_and_time();

/// The shapes of an experiment, or the usual ones, in bf16, of so many ranks. Throws hw::ConfigError, BackendUnavailable.
[[nodiscard]] runtime::BenchPlan cuda_bench_plan(const std::optional<std::string>& experiment, const std::vector<std::string>& sets,
                                                 std::int32_t ranks);

/// What goes on beside kernels unless told otherwise: 16 CTAs, the cap of a communicator, at the line rate of a 400 Gbit/s NIC, and of an H100's
/// NVLinks (450 GB/s per direction, NVIDIA's H100 white paper).
[[nodiscard]] std::vector<runtime::Traffic> usual_traffic();

/// Writes the file that calibrate reads, if there is one, and names on standard error what was left out, in one write.
void write_bench(const runtime::BenchResults& results, const std::string& command, Output* json);

}  // namespace fabricast::tools
