// A report as one HTML page that needs nothing else: no script, no network. Knows reports only.
#pragma once

#include <string>

#include "validation/report.hpp"

namespace fabricast::validation {

/// Headline figures, bars of where the step goes, of its critical path and of memory, what bounds the step, and the summary in full.
/// Deterministic.
[[nodiscard]] std::string to_html(const Report& report);

}  // namespace fabricast::validation
