// A step as Chrome trace events, which Perfetto and chrome://tracing open: a process per rank, a track per stream, counters of link use per
// node. Knows the trace, not how it came about.
#pragma once

#include <iosfwd>
#include <string_view>

#include "validation/forecast.hpp"

namespace fabricast::validation {

/// Times in microseconds with picosecond decimals. Link counters need SimulateOptions::record_link_rates.
/// `source`, "simulated" or "measured", stands in the file's otherData.
void write_chrome_trace(const Forecast& forecast, std::ostream& out, std::string_view source = "simulated");

}  // namespace fabricast::validation
