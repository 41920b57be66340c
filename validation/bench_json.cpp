#include "validation/bench_json.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "hardware_models/json_text.hpp"
#include "strategies/ir/work_json.hpp"
#include "validation/json_writer.hpp"
#include "validation/machine_json.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

namespace {

using runtime::BenchResults;

std::string seconds_json(const runtime::Spread& s) {
  return fmt::format(R"({{"p10": {}, "median": {}, "p90": {}}})", hw::json_number(s.p10.value()), hw::json_number(s.median.value()),
                     hw::json_number(s.p90.value()));
}

void write_kernels(JsonWriter& json, const BenchResults& results) {
  json.open_array("kernels");
  const auto add = [&](const std::string& work, const runtime::Spread& seconds) {
    json.field_json({}, fmt::format(R"({{"work": {}, "concurrent": {}, "seconds": {}, "repetitions": {}}})", work, results.ranks,
                                    seconds_json(seconds), results.repetitions));
  };
  for (const auto& k : results.kernels) add(ir::kernel_json(k.kernel), k.seconds);
  for (const auto& c : results.copies) add(fmt::format(R"({{"kind": "copy", "bytes": {}}})", c.bytes.value()), c.seconds);
  json.close();
}

/// No algorithm: members of one process copy and sum each other's memory, which is none of those that have a name.
void write_collectives(JsonWriter& json, const BenchResults& results) {
  json.open_array("collectives");
  for (const auto& [bench, seconds] : results.collectives) {
    json.field_json({}, fmt::format(R"({{"kind": "{}", "bytes": {}, "nodes": 1, "gpus_per_node": {}, "precision": "{}", "seconds": {}, "repetitions": {}}})",
                                    hw::name_of(bench.kind), bench.size.value(), bench.members, hw::name_of(bench.precision),
                                    seconds_json(seconds), results.repetitions));
  }
  json.close();
}

/// Processors are not set aside for communication as SMs are: it holds none, and takes its time from all.
void write_interference(JsonWriter& json, const BenchResults& results) {
  json.open_array("interference");
  for (const auto& i : results.interference) {
    json.field_json({}, fmt::format(R"({{"compute": {}, "communication_sms": 0, "communication_bytes_per_second": {}, "alone_seconds": {}, "beside_seconds": {}}})",
                                    ir::kernel_json(i.kernel), hw::json_number(i.communication.value()), hw::json_number(i.alone.value()),
                                    hw::json_number(i.beside.value())));
  }
  json.close();
}

/// "gemm m 16 n 512 k 512 fp32": the JSON of a kernel without its signs.
std::string short_text(const hw::Kernel& kernel) {
  std::string text;
  for (const char c : ir::kernel_json(kernel)) {
    if (std::string_view("{}\",:").find(c) == std::string_view::npos) text += c;
  }
  for (const std::string_view word : {"kind ", "precision "}) {
    if (const std::size_t at = text.find(word); at != std::string::npos) text.erase(at, word.size());
  }
  return text;
}

std::string rate_of(const hw::Kernel& kernel, Seconds time) {
  const Flop work = hw::flop(kernel);
  return work > Flop(0) ? show(work / time) : show(hw::memory_traffic(kernel) / time);
}

}  // namespace

std::string to_json(const BenchResults& results, const std::string& source, const std::string& date) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.measurements/1");
  json.field("source", source);
  json.field("date", date);
  write_machine(json, results.machine);
  write_kernels(json, results);
  if (!results.collectives.empty()) write_collectives(json, results);
  json.field_json("launch", fmt::format(R"({{"seconds": {}, "repetitions": {}}})", seconds_json(results.launch), results.repetitions));
  if (!results.interference.empty()) write_interference(json, results);
  json.close();
  return std::move(json).text();
}

std::string bench_summary(const BenchResults& results) {
  using Align = Table::Align;
  std::string text = fmt::format("{}, {}: {} at once, {} repetitions\n", results.machine.host, results.machine.device,
                                 results.ranks == 1 ? "1 rank" : fmt::format("{} ranks", results.ranks), results.repetitions);
  Table kernels({{"kernel", Align::left}, {"p10"}, {"median"}, {"p90"}, {"rate of a rank"}});
  for (const auto& [kernel, s] : results.kernels) {
    kernels.add({short_text(kernel), show(s.p10), show(s.median), show(s.p90), rate_of(kernel, s.median)});
  }
  for (const auto& [bytes, s] : results.copies) {   // a copy reads and writes
    kernels.add({fmt::format("copy of {}", show_traffic(static_cast<double>(bytes.value()))), show(s.p10), show(s.median), show(s.p90),
                 show(2 * bytes / s.median)});
  }
  kernels.add({"an op without rows", show(results.launch.p10), show(results.launch.median), show(results.launch.p90)});
  text += kernels.text();
  Table collectives({{"collective", Align::left}, {"members"}, {"size"}, {"p10"}, {"median"}, {"p90"}, {"bus rate"}});
  for (const auto& [bench, s] : results.collectives) {
    collectives.add({std::string(hw::name_of(bench.kind)), std::to_string(bench.members), show_traffic(static_cast<double>(bench.size.value())),
                     show(s.p10), show(s.median), show(s.p90),
                     show(BytesPerSecond((bench.size / s.median).value() * hw::bus_factor(bench.kind, bench.members)))});
  }
  if (!results.collectives.empty()) text += '\n' + collectives.text();
  Table beside({{"beside all-gathers", Align::left}, {"alone"}, {"beside"}, {"slower by"}});
  for (const auto& i : results.interference) beside.add({short_text(i.kernel), show(i.alone), show(i.beside), show_factor(i.beside / i.alone)});
  if (!results.interference.empty()) text += '\n' + beside.text();
  return text;
}

}  // namespace fabricast::validation
