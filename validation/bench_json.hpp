// Micro-benchmarks as the file that calibrate reads ("fabricast.measurements/1"). Knows no devices.
#pragma once

#include <optional>
#include <string>

#include "runtime/bench_plan.hpp"

namespace fabricast::validation {

/// Of a kernel that was timed beside the best that the library alone has for it: that one's median over its own.
[[nodiscard]] double share_of_best(const runtime::BenchResults::KernelTime& kernel);
/// Of a pass over memory on a GPU: the bytes that it has to move per second over those of a large copy, read and written.
[[nodiscard]] std::optional<double> share_of_copy_rate(const runtime::BenchResults& results, const runtime::BenchResults::KernelTime& kernel);

/// One line an entry. `source` is the command that measured, `date` is ISO 8601. What the machine does not tell is left out.
[[nodiscard]] std::string to_json(const runtime::BenchResults& results, const std::string& source, const std::string& date);

/// The slowest and fastest of each kind, as rates: for people.
[[nodiscard]] std::string bench_summary(const runtime::BenchResults& results);

}  // namespace fabricast::validation
