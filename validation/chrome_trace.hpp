// A step as Chrome trace events, which Perfetto and chrome://tracing open: a process per rank, a track per stream, counters of link use per
// node. Knows the trace, not how it came about.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "validation/forecast.hpp"

namespace fabricast::validation {

/// All of them; or the first of each row of the trace, where ranks share rows and all together have more ops than a viewer opens (2 million:
/// 0.4 GB).
[[nodiscard]] std::vector<Rank> shown_ranks(const Forecast& forecast);
/// Says that not all are shown; empty where they are.
[[nodiscard]] std::string note_on_shown_ranks(const Forecast& forecast);

/// The shown ranks, with those like them counted in their names, and the links of their nodes. Times in microseconds with picosecond
/// decimals. Link counters need SimulateOptions::record_link_rates.
/// `source`, "simulated" or "measured", stands in the file's otherData.
void write_chrome_trace(const Forecast& forecast, std::ostream& out, std::string_view source = "simulated");

}  // namespace fabricast::validation
