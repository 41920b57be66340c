#include "validation/measured_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <ostream>
#include <utility>

#include "hardware_models/json_reader.hpp"
#include "hardware_models/json_text.hpp"
#include "validation/machine_json.hpp"

namespace fabricast::validation {

namespace {

constexpr double longest_step_seconds = 1e6;
constexpr hw::IntegerRange from_zero{0, std::int64_t{1} << 40};
const char* const schema_name = "fabricast.trace/1";

Rank rank_of(std::size_t index) { return Rank{static_cast<std::int32_t>(index)}; }
std::string seconds(SimTime time) { return hw::json_number(to_seconds(time).value()); }
std::string seconds(Seconds time) { return hw::json_number(time.value()); }

std::string spread_members(const runtime::Spread& spread) {
  return fmt::format(R"("p10": {}, "median": {}, "p90": {})", seconds(spread.p10), seconds(spread.median), seconds(spread.p90));
}

std::string machine_json(const runtime::Machine& machine) {
  std::vector<std::string> members;
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) members.push_back(fmt::format(R"("{}": {})", key, hw::json_quote(value)));
  };
  text("host", machine.host);
  text("device", machine.device);
  if (machine.devices > 0) members.push_back(fmt::format(R"("devices": {})", machine.devices));
  text("driver", machine.driver);
  if (machine.clock_mhz > 0) members.push_back(fmt::format(R"("clock_mhz": {})", hw::json_number(machine.clock_mhz)));
  text("attention", machine.attention);
  return fmt::format("{{{}}}", fmt::join(members, ", "));
}

std::string header_line(const MeasuredTraceHeader& h) {
  return fmt::format(
      R"({{"schema": "{}", "source": "measured", "experiment": {}, "backend": {}, "ranks": {}, "ops": {}, "seed": {}, )"
      R"("warm_up_steps": {}, "timed_steps": {}, "step": {{{}}}, "machine": {}}})",
      schema_name, hw::json_quote(h.experiment), hw::json_quote(h.backend), h.ranks, h.ops, h.seed, h.warm_up_steps, h.timed_steps,
      spread_members(h.step), machine_json(h.machine));
}

std::string op_line(const MeasuredOp& op) {
  return fmt::format(R"({{"rank": {}, "op": {}, "label": {}, "kind": {}, "issued": {}, "start": {}, "end": {}, {}}})", op.rank.value,
                     op.op.value, hw::json_quote(op.label), hw::json_quote(op.kind), seconds(op.interval.issued),
                     seconds(op.interval.start), seconds(op.interval.end), spread_members(op.seconds));
}

Seconds read_seconds(hw::ObjectReader& reader, const char* key) { return Seconds(reader.number(key, 0, longest_step_seconds)); }

/// To the nearest picosecond: what to_seconds gave reads back as it was.
SimTime read_time(hw::ObjectReader& reader, const char* key) {
  return SimTime(std::llround(reader.number(key, 0, longest_step_seconds) * picoseconds_per_second));
}

runtime::Spread read_spread(hw::ObjectReader& reader) {
  return {read_seconds(reader, "p10"), read_seconds(reader, "median"), read_seconds(reader, "p90")};
}

MeasuredTraceHeader read_header(const hw::JsonNode& node) {
  hw::ObjectReader reader(node);
  if (reader.text("schema") != schema_name) hw::fail(reader.child("schema"), fmt::format("expected \"{}\"", schema_name));
  MeasuredTraceHeader header;
  header.experiment = reader.text("experiment");
  header.backend = reader.text("backend");
  header.ranks = reader.integer("ranks");
  header.ops = reader.integer("ops");
  header.seed = static_cast<std::uint64_t>(reader.integer("seed", from_zero));
  header.warm_up_steps = reader.integer("warm_up_steps", from_zero);
  header.timed_steps = reader.integer("timed_steps");
  hw::ObjectReader step(reader.child("step"));
  header.step = read_spread(step);
  step.finish();
  header.machine = read_machine(reader.child("machine"));
  reader.finish();
  return header;
}

MeasuredOp read_op(const hw::JsonNode& node, const MeasuredTraceHeader& header) {
  hw::ObjectReader reader(node);
  MeasuredOp op;
  op.rank = Rank{static_cast<std::int32_t>(reader.integer("rank", {0, header.ranks - 1}))};
  op.op = ir::OpIndex{static_cast<std::int32_t>(reader.integer("op", {0, header.ops - 1}))};
  op.label = reader.text("label");
  op.kind = reader.text("kind");
  op.interval = {read_time(reader, "issued"), read_time(reader, "start"), read_time(reader, "end")};
  op.seconds = read_spread(reader);
  reader.finish();
  return op;
}

bool before(const MeasuredOp& a, const MeasuredOp& b) { return std::pair(a.rank, a.op) < std::pair(b.rank, b.op); }

void require_same_run(const MeasuredTraceHeader& a, const MeasuredTraceHeader& b) {
  const auto require = [](bool same, const char* what) {
    if (!same) throw hw::ConfigError(fmt::format("the traces are not of one run: their {} differs", what));
  };
  require(a.experiment == b.experiment, "experiment");
  require(a.backend == b.backend, "backend");
  require(a.ranks == b.ranks && a.ops == b.ops, "schedule");
  require(a.seed == b.seed && a.warm_up_steps == b.warm_up_steps && a.timed_steps == b.timed_steps, "number of steps or seed");
  require(a.step.median == b.step.median, "step time");
}

}  // namespace

MeasuredTrace measured_trace(const std::string& experiment, const std::string& backend, const ir::Schedule& schedule,
                             const runtime::RunOptions& options, const runtime::MeasuredRun& run, const std::vector<Rank>& of) {
  MeasuredTrace trace;
  trace.header = {experiment, backend, static_cast<std::int64_t>(schedule.ranks.size()), 0, options.seed, options.warm_up_steps,
                  options.timed_steps, run.step_length, run.machine};
  const ir::Trace& median = run.median_step();
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank = rank_of(r);
    const auto& ops = schedule.program_of(rank).ops;
    trace.header.ops += static_cast<std::int64_t>(ops.size());
    if (!of.empty() && std::find(of.begin(), of.end(), rank) == of.end()) continue;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const ir::OpIndex op{static_cast<std::int32_t>(i)};
      trace.ops.push_back({rank, op, schedule.label(ops[i].label), std::string(ir::kind_of(ops[i].work)), median.at(rank, op),
                           run.ops[r][i]});
    }
  }
  return trace;
}

void write_measured_trace(const MeasuredTrace& trace, std::ostream& out) {
  out << header_line(trace.header) << '\n';
  for (const MeasuredOp& op : trace.ops) out << op_line(op) << '\n';
}

MeasuredTrace read_measured_trace(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw hw::ConfigError(fmt::format("{}: cannot read this file", path.string()));
  MeasuredTrace trace;
  std::int64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.empty()) continue;
    const hw::JsonNode node = hw::parse_json_text(line, fmt::format("{}, record {}", path.string(), number));
    if (number == 1) {
      trace.header = read_header(node);
    } else {
      trace.ops.push_back(read_op(node, trace.header));
    }
  }
  if (number == 0) throw hw::ConfigError(fmt::format("{}: empty; expected a measured trace ({})", path.string(), schema_name));
  std::stable_sort(trace.ops.begin(), trace.ops.end(), before);
  return trace;
}

MeasuredTrace merge(const std::vector<MeasuredTrace>& parts) {
  if (parts.empty()) throw hw::ConfigError("nothing to merge");
  MeasuredTrace merged{parts.front().header, {}};
  for (const MeasuredTrace& part : parts) {
    require_same_run(merged.header, part.header);
    merged.ops.insert(merged.ops.end(), part.ops.begin(), part.ops.end());
  }
  std::stable_sort(merged.ops.begin(), merged.ops.end(), before);
  for (std::size_t i = 1; i < merged.ops.size(); ++i) {
    if (before(merged.ops[i - 1], merged.ops[i])) continue;
    throw hw::ConfigError(fmt::format("rank {}, op {} is in two of the traces", merged.ops[i].rank.value, merged.ops[i].op.value));
  }
  if (static_cast<std::int64_t>(merged.ops.size()) != merged.header.ops) {
    throw hw::ConfigError(fmt::format("the traces hold {} of the run's {} ops: give the traces of all {} ranks", merged.ops.size(),
                                      merged.header.ops, merged.header.ranks));
  }
  return merged;
}

ir::Trace as_trace(const MeasuredTrace& trace, const ir::Schedule& schedule) {
  ir::Trace result;
  auto next = trace.ops.begin();
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const auto& ops = schedule.program_of(rank_of(r)).ops;
    auto& intervals = result.ops.emplace_back();
    for (std::size_t i = 0; i < ops.size(); ++i, ++next) {
      const bool is_it = next != trace.ops.end() && next->rank == rank_of(r) && next->op.index() == i;
      if (!is_it || next->label != schedule.label(ops[i].label) || next->kind != ir::kind_of(ops[i].work)) {
        throw hw::ConfigError(fmt::format("the trace is not of this schedule: rank {}, op {} ({}) is missing or another", r, i,
                                          schedule.label(ops[i].label)));
      }
      intervals.push_back(next->interval);
    }
  }
  if (next != trace.ops.end()) throw hw::ConfigError("the trace is not of this schedule: it has more ops");
  return result;
}

}  // namespace fabricast::validation
