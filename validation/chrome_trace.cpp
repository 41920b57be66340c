#include "validation/chrome_trace.hpp"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hardware_models/json_text.hpp"
#include "strategies/ir/resolve.hpp"
#include "validation/kernel_facts.hpp"
#include "validation/link_utilization.hpp"
#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t flush_at = std::size_t{1} << 20;   // bytes held before they are written
constexpr std::size_t most_slices = 2'000'000;
constexpr std::int64_t counter_windows = 4096;           // over the step: finer changes of link rates are averaged
constexpr std::int64_t picoseconds_per_microsecond = 1'000'000;

/// Microseconds, exact: "123.456789".
struct Microseconds {
  std::int64_t whole, fraction;
  explicit Microseconds(SimTime time)
      : whole(time.value() / picoseconds_per_microsecond), fraction(time.value() % picoseconds_per_microsecond) {}
};

/// Appends events to a stream, separated by commas, in large pieces.
class EventWriter {
 public:
  EventWriter(std::ostream& out, std::string_view source) : out_(out) {
    format(FMT_COMPILE(R"({{"displayTimeUnit":"ns","otherData":{{"source":"{}"}},"traceEvents":[)"), source);
  }

  void begin_event() {
    if (buffer_.size() >= flush_at) flush();
    append(first_ ? "\n" : ",\n");
    first_ = false;
  }

  void append(std::string_view text) { buffer_.append(text.data(), text.data() + text.size()); }

  void time(std::string_view key, SimTime time) {
    const Microseconds us(time);
    fmt::format_to(std::back_inserter(buffer_), FMT_COMPILE("\"{}\":{}.{:06}"), key, us.whole, us.fraction);
  }

  template <class Format, class... Values>
  void format(const Format& format, const Values&... values) {
    fmt::format_to(std::back_inserter(buffer_), format, values...);
  }

  void finish() {
    append("\n]}\n");
    flush();
  }

 private:
  void flush() {
    out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    buffer_.clear();
  }

  std::ostream& out_;
  fmt::memory_buffer buffer_;
  bool first_ = true;
};

void write_metadata(EventWriter& events, std::string_view what, std::size_t process, std::size_t thread, const std::string& value) {
  events.begin_event();
  events.format(FMT_COMPILE(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{{}}}}})"), what, process, thread, value);
}

void name_process(EventWriter& events, std::size_t process, const std::string& name) {
  write_metadata(events, "process_name", process, 0, "\"name\":" + hw::json_quote(name));
  write_metadata(events, "process_sort_index", process, 0, fmt::format("\"sort_index\":{}", process));
}

/// `alike`: other ranks that are not shown.
void name_rank(EventWriter& events, const Forecast& forecast, std::size_t rank, std::size_t alike) {
  const GpuId gpu = forecast.schedule.ranks[rank].gpu;
  const std::int32_t node = forecast.topology.node_of(gpu).value;
  const std::string others = alike > 0 ? fmt::format(" and {} like it", alike) : "";
  name_process(events, rank, fmt::format("rank {} (node {}, gpu {}){}", rank, node, forecast.topology.slot_of(gpu), others));
  const auto& streams = forecast.schedule.program_of(Rank{static_cast<std::int32_t>(rank)}).streams;
  for (std::size_t stream = 0; stream < streams.size(); ++stream) {
    write_metadata(events, "thread_name", rank, stream, "\"name\":" + hw::json_quote(streams[stream]));
    write_metadata(events, "thread_sort_index", rank, stream, fmt::format("\"sort_index\":{}", stream));
  }
}

/// What the slices of one schedule have in common, computed once.
class SliceWriter {
 public:
  SliceWriter(EventWriter& events, const Forecast& forecast)
      : events_(events), forecast_(forecast), facts_(forecast.schedule, forecast.cost.gpu) {
    for (const std::string& label : forecast.schedule.labels) quoted_.push_back(hw::json_quote(label));
  }

  void write(Rank rank, ir::OpIndex index) {
    const ir::Op& op = forecast_.schedule.program_of(rank).ops[index.index()];
    const ir::OpInterval& ran = forecast_.result.trace.at(rank, index);
    const std::string_view kind = ir::kind_of(op.work);
    events_.begin_event();
    events_.format(FMT_COMPILE(R"({{"ph":"X","name":{},"cat":"{}","pid":{},"tid":{},)"), quoted_[op.label.index()], kind, rank.value,
                   op.stream.value);
    events_.time("ts", ran.start);
    events_.append(",");
    events_.time("dur", ran.end - ran.start);
    events_.format(FMT_COMPILE(R"(,"args":{{"kind":"{}","scope":{})"), kind, quoted_[op.scope.index()]);
    if (ir::communicates(op.work)) {
      write_communication(rank, index, ran);
    } else {
      write_computation(rank, index);
    }
    events_.append("}}");
  }

 private:
  [[nodiscard]] Bytes size_of(std::size_t instance) {
    const auto [size, is_new] = sizes_.try_emplace(instance);
    if (is_new) {
      const ir::InstanceMember first = forecast_.instances.all[instance].members.front();
      size->second = ir::resolve_briefly(forecast_.schedule, first.rank, forecast_.schedule.program_of(first.rank).ops[first.op.index()]).size;
    }
    return size->second;
  }

  void write_communication(Rank rank, ir::OpIndex index, const ir::OpInterval& ran) {
    const std::size_t instance = forecast_.instances.at(rank, index).index();
    events_.format(FMT_COMPILE(R"(,"bytes":{},"instance":{},)"), size_of(instance).value(), instance);
    events_.time("waiting_us", ran.start - ran.issued);
  }

  void write_computation(Rank rank, ir::OpIndex index) {
    const auto kernel = facts_.of(rank, index);
    if (kernel) events_.format(FMT_COMPILE(R"(,"flop":{},"bytes":{})"), hw::json_number(kernel->flop.value()), kernel->traffic.value());
  }

  EventWriter& events_;
  const Forecast& forecast_;
  ScheduleFacts facts_;
  std::vector<std::string> quoted_;   // by LabelId
  std::unordered_map<std::size_t, Bytes> sizes_;   // by InstanceId, of those asked for
};

void write_slices(EventWriter& events, const Forecast& forecast) {
  SliceWriter slices(events, forecast);
  const std::vector<Rank> shown = shown_ranks(forecast);
  std::vector<std::size_t> ranks_of(forecast.result.trace.ops.size());   // by row
  for (std::size_t r = 0; r < forecast.schedule.ranks.size(); ++r) ++ranks_of[forecast.result.trace.row(Rank{static_cast<std::int32_t>(r)})];
  for (const Rank rank : shown) {
    const bool all = shown.size() == forecast.schedule.ranks.size();
    name_rank(events, forecast, rank.index(), all ? 0 : ranks_of[forecast.result.trace.row(rank)] - 1);
    const auto ops = static_cast<std::int32_t>(forecast.schedule.program_of(rank).ops.size());
    for (std::int32_t op = 0; op < ops; ++op) slices.write(rank, ir::OpIndex{op});
  }
}

std::size_t slices_of_all(const Forecast& forecast) {
  std::size_t slices = 0;
  for (const ir::RankBinding& rank : forecast.schedule.ranks) slices += forecast.schedule.programs[rank.program.index()].ops.size();
  return slices;
}

std::string_view name_of(Direction direction) { return direction == Direction::out ? "out" : "in"; }

void write_counters(EventWriter& events, const Forecast& forecast) {
  const TimeSpan step = step_of(forecast.result.trace);
  const SimTime resolution((step.end - step.start).value() / counter_windows);
  const std::size_t first_process = forecast.schedule.ranks.size();
  std::set<NodeId> nodes, named;
  for (const Rank rank : shown_ranks(forecast)) nodes.insert(forecast.topology.node_of(forecast.schedule.ranks[rank.index()].gpu));
  const auto is_shown = [&](NodeId node) { return nodes.contains(node); };
  for (const UtilizationSeries& series :
       link_utilization(forecast.topology, forecast.result.link_rates, resolution, step.end, forecast.result.rated_as, is_shown)) {
    const std::size_t process = first_process + series.node.index();
    if (named.insert(series.node).second) name_process(events, process, fmt::format("links of node {}", series.node.value));
    for (const UtilizationSample& sample : series.samples) {
      events.begin_event();
      events.format(FMT_COMPILE(R"({{"ph":"C","name":"{} {}, % used","pid":{},"tid":0,)"), hw::name_of(series.kind),
                    name_of(series.direction), process);
      events.time("ts", sample.from);
      events.format(FMT_COMPILE(R"(,"args":{{"used":{:.2f}}}}})"), 100 * sample.utilization);
    }
  }
}

}  // namespace

std::vector<Rank> shown_ranks(const Forecast& forecast) {
  const ir::Trace& trace = forecast.result.trace;
  const bool all = slices_of_all(forecast) <= most_slices;
  std::vector<Rank> shown;
  std::size_t rows = 0;   // seen so far
  for (std::size_t r = 0; r < forecast.schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    const bool is_first = trace.row(rank) == rows;
    if (is_first) ++rows;
    if (all || is_first) shown.push_back(rank);
  }
  return shown;
}

std::string note_on_shown_ranks(const Forecast& forecast) {
  const std::size_t shown = shown_ranks(forecast).size(), all = forecast.schedule.ranks.size();
  if (shown == all) return {};
  return fmt::format("the timeline shows {} of {} ranks, the first of each kind of those alike: all would be {} slices", shown, all,
                     slices_of_all(forecast));
}

void write_chrome_trace(const Forecast& forecast, std::ostream& out, std::string_view source) {
  EventWriter events(out, source);
  write_slices(events, forecast);
  if (!forecast.result.link_rates.empty()) write_counters(events, forecast);
  events.finish();
}

}  // namespace fabricast::validation
