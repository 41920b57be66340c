// A measured step as a file of records by op id, which joins a prediction of the same schedule: JSON Lines, a header and then one record
// for each (rank, op). Files of single ranks of one run merge into one. Knows no backend.
//
//   {"schema": "fabricast.trace/1", "source": "measured", "experiment": "ep64_tp2_tiny", "backend": "host", "ranks": 128, "ops": 17152,
//    "seed": 1, "warm_up_steps": 2, "timed_steps": 20, "step": {"p10": s, "median": s, "p90": s}, "machine": {...}}
//   {"rank": 0, "op": 0, "label": "embedding", "kind": "embedding", "issued": s, "start": s, "end": s, "p10": s, "median": s, "p90": s}
//
// Times are seconds: issued, start and end from the beginning of the timed step of median length, the spread that of end - start over all
// timed steps. "ops" counts the schedule's ops over all ranks, of which a file may hold some.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

#include "runtime/executor.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/trace.hpp"

namespace fabricast::validation {

struct MeasuredTraceHeader {
  std::string experiment, backend;
  std::int64_t ranks = 0, ops = 0;
  std::uint64_t seed = 1;
  std::int64_t warm_up_steps = 0, timed_steps = 0;
  runtime::Spread step;
  runtime::Machine machine;
};

struct MeasuredOp {
  Rank rank;
  ir::OpIndex op;
  std::string label, kind;
  ir::OpInterval interval;
  runtime::Spread seconds;
};

struct MeasuredTrace {
  MeasuredTraceHeader header;
  std::vector<MeasuredOp> ops;          // by rank, then op
};

/// The median step of the ranks in `of`; all ranks where it is empty.
[[nodiscard]] MeasuredTrace measured_trace(const std::string& experiment, const std::string& backend, const ir::Schedule& schedule,
                                           const runtime::RunOptions& options, const runtime::MeasuredRun& run,
                                           const std::vector<Rank>& of = {});

void write_measured_trace(const MeasuredTrace& trace, std::ostream& out);

/// Throws hw::ConfigError naming file and line.
[[nodiscard]] MeasuredTrace read_measured_trace(const std::filesystem::path& path);

/// One trace from those of single ranks. Throws hw::ConfigError where they are not of one run, or an op is there twice or not at all.
[[nodiscard]] MeasuredTrace merge(const std::vector<MeasuredTrace>& parts);

/// By op id, as comparisons take it. Throws hw::ConfigError where the records are not those of the schedule's ops.
[[nodiscard]] ir::Trace as_trace(const MeasuredTrace& trace, const ir::Schedule& schedule);

}  // namespace fabricast::validation
