// A report as a person reads it: throughput, where the time goes, memory, links, and what bounds the step. At most 100 columns.
#pragma once

#include <string>
#include <vector>

#include "validation/report.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

[[nodiscard]] std::string summary(const Report& report, TextStyle style);

/// Three sentences, each computed from the report's numbers: how the step divides, what the exposed communication is, how far the step is
/// from its floor and what would bring it nearer.
[[nodiscard]] std::vector<std::string> what_bounds(const Report& report);

/// "128 GPUs" or "1 GPU".
[[nodiscard]] std::string count_of(std::int64_t n, const std::string& noun);

/// A table of the memory's breakdown against its capacity.
[[nodiscard]] std::string memory_table(const MemorySummary& memory);

}  // namespace fabricast::validation
