// Micro-benchmarks as the file that calibrate reads ("fabricast.measurements/1"). Knows no devices.
#pragma once

#include <string>

#include "runtime/bench_plan.hpp"

namespace fabricast::validation {

/// One line an entry. `source` is the command that measured, `date` is ISO 8601. What the machine does not tell is left out.
[[nodiscard]] std::string to_json(const runtime::BenchResults& results, const std::string& source, const std::string& date);

/// The slowest and fastest of each kind, as rates: for people.
[[nodiscard]] std::string bench_summary(const runtime::BenchResults& results);

}  // namespace fabricast::validation
