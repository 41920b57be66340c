#include "validation/bench_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
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

/// "share_of_best": of what the library alone reaches at the same products; "share_of_copy_rate": of a large copy's bytes per second.
std::string shares_json(const BenchResults& results, const BenchResults::KernelTime& k) {
  std::string text;
  if (k.best) {
    text += fmt::format(R"(, "best_seconds": {}, "share_of_best": {})", seconds_json(*k.best), hw::json_number(share_of_best(k)));
  }
  if (const auto share = share_of_copy_rate(results, k)) text += fmt::format(R"(, "share_of_copy_rate": {})", hw::json_number(*share));
  return text;
}

void write_kernels(JsonWriter& json, const BenchResults& results) {
  json.open_array("kernels");
  const auto add = [&](const std::string& work, const runtime::Spread& seconds, const std::string& shares) {
    json.field_json({}, fmt::format(R"({{"work": {}, "concurrent": {}, "seconds": {}, "repetitions": {}{}}})", work, results.ranks,
                                    seconds_json(seconds), results.repetitions, shares));
  };
  for (const auto& k : results.kernels) add(ir::kernel_json(k.kernel), k.seconds, shares_json(results, k));
  for (const auto& c : results.copies) add(fmt::format(R"({{"kind": "copy", "bytes": {}}})", c.bytes.value()), c.seconds, "");
  json.close();
}

void write_left_out(JsonWriter& json, const BenchResults& results) {
  json.open_array("left_out");
  for (const auto& [what, why] : results.left_out) {
    json.open_object();
    json.field("what", what);
    json.field("why", why);
    json.close();
  }
  json.close();
}

/// No algorithm: members of one process copy and sum each other's memory, which is none of those that have a name, and NCCL chooses its own.
void write_collectives(JsonWriter& json, const BenchResults& results) {
  json.open_array("collectives");
  for (const auto& [bench, seconds] : results.collectives) {
    json.field_json({}, fmt::format(R"({{"kind": "{}", "bytes": {}, "nodes": {}, "gpus_per_node": {}, "precision": "{}", )"
                                    R"("seconds": {}, "repetitions": {}}})",
                                    hw::name_of(bench.kind), bench.size.value(), bench.nodes, bench.members / bench.nodes,
                                    hw::name_of(bench.precision), seconds_json(seconds), results.repetitions));
  }
  json.close();
}

/// A host's processors are not set aside for communication as SMs are: it holds none, and takes its time from all.
void write_interference(JsonWriter& json, const BenchResults& results) {
  json.open_array("interference");
  for (const auto& i : results.interference) {
    const std::string memory = i.memory ? fmt::format(R"(, "memory_bytes_per_second": {})", hw::json_number(i.memory->value())) : "";
    json.field_json({}, fmt::format(R"({{"compute": {}, "communication_sms": {}, "communication_bytes_per_second": {}{}, )"
                                    R"("alone_seconds": {}, "beside_seconds": {}}})",
                                    ir::kernel_json(i.kernel), i.sms, hw::json_number(i.communication.value()), memory,
                                    hw::json_number(i.alone.value()), hw::json_number(i.beside.value())));
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

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

/// Shares of a GPU's kernels by kind: the median and the worst.
std::string shares_table(const BenchResults& results) {
  std::map<std::pair<std::string, std::string>, std::vector<double>> shares;
  for (const auto& k : results.kernels) {
    const std::string kind(ir::kind_of(k.kernel));
    if (k.best) shares[{kind, "the best that cublasLt alone has"}].push_back(share_of_best(k));
    if (const auto share = share_of_copy_rate(results, k)) shares[{kind, "the rate of a large copy"}].push_back(*share);
  }
  Table table({{"kind", Table::Align::left}, {"shapes"}, {"median"}, {"worst"}, {"of", Table::Align::left}});
  for (const auto& [key, values] : shares) {
    table.add({key.first, std::to_string(values.size()), show_share(median_of(values)), show_share(*std::min_element(values.begin(), values.end())),
               key.second});
  }
  return shares.empty() ? "" : '\n' + table.text();
}

}  // namespace

double share_of_best(const BenchResults::KernelTime& kernel) { return kernel.best->median / kernel.seconds.median; }

std::optional<double> share_of_copy_rate(const BenchResults& results, const BenchResults::KernelTime& kernel) {
  if (!results.copy_rate || hw::flop(kernel.kernel) > Flop(0)) return std::nullopt;
  return (hw::memory_traffic(kernel.kernel) / kernel.seconds.median).value() / results.copy_rate->value();
}

std::string to_json(const BenchResults& results, const std::string& source, const std::string& date) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.measurements/1");
  json.field("source", source);
  json.field("date", date);
  write_machine(json, results.machine);
  if (!results.method.empty()) json.field("method", results.method);
  write_kernels(json, results);
  if (!results.collectives.empty()) write_collectives(json, results);
  if (results.launch) {
    json.field_json("launch", fmt::format(R"({{"seconds": {}, "repetitions": {}}})", seconds_json(*results.launch), results.repetitions));
  }
  if (!results.interference.empty()) write_interference(json, results);
  if (!results.left_out.empty()) write_left_out(json, results);
  json.close();
  return std::move(json).text();
}

namespace {

std::string kernels_table(const BenchResults& results) {
  const auto has_best = [](const auto& k) { return k.best.has_value(); };
  const bool compares = results.copy_rate || std::any_of(results.kernels.begin(), results.kernels.end(), has_best);
  std::vector<Table::Column> columns{{"kernel", Table::Align::left}, {"p10"}, {"median"}, {"p90"}, {"rate of a rank"}};
  if (compares) columns.push_back({"share"});
  Table table(columns);
  for (const auto& k : results.kernels) {
    std::vector<std::string> cells{short_text(k.kernel), show(k.seconds.p10), show(k.seconds.median), show(k.seconds.p90),
                                   rate_of(k.kernel, k.seconds.median)};
    const auto of_copy = share_of_copy_rate(results, k);
    if (compares) cells.push_back(k.best ? show_share(share_of_best(k)) : of_copy ? show_share(*of_copy) : "");
    table.add(cells);
  }
  for (const auto& [bytes, s] : results.copies) {   // a copy reads and writes
    table.add({fmt::format("copy of {}", show_traffic(static_cast<double>(bytes.value()))), show(s.p10), show(s.median), show(s.p90),
               show(2 * bytes / s.median)});
  }
  const char* const smallest = results.method.empty() ? "an op without rows" : "an op of one row";
  if (results.launch) table.add({smallest, show(results.launch->p10), show(results.launch->median), show(results.launch->p90)});
  return table.text();
}

std::string collectives_table(const BenchResults& results) {
  Table table({{"collective", Table::Align::left}, {"members"}, {"nodes"}, {"size"}, {"p10"}, {"median"}, {"p90"}, {"bus rate"}});
  for (const auto& [bench, s] : results.collectives) {
    table.add({std::string(hw::name_of(bench.kind)), std::to_string(bench.members), std::to_string(bench.nodes),
               show_traffic(static_cast<double>(bench.size.value())), show(s.p10), show(s.median), show(s.p90),
               show(BytesPerSecond((bench.size / s.median).value() * hw::bus_factor(bench.kind, bench.members)))});
  }
  return table.text();
}

std::string interference_table(const BenchResults& results) {
  Table table({{"beside communication", Table::Align::left}, {"SMs held"}, {"of"}, {"alone"}, {"beside"}, {"slower by"}});
  for (const auto& i : results.interference) {
    table.add({short_text(i.kernel), std::to_string(i.sms), show(i.communication), show(i.alone), show(i.beside), show_factor(i.beside / i.alone)});
  }
  return table.text();
}

}  // namespace

std::string bench_summary(const BenchResults& results) {
  std::string text = fmt::format("{}, {}{}: {} at once, {} repetitions\n", results.machine.host, results.machine.device,
                                 attention_text(results.machine), results.ranks == 1 ? "1 rank" : fmt::format("{} ranks", results.ranks), results.repetitions);
  if (!results.method.empty()) text += results.method + '\n';
  const bool times_kernels = !results.kernels.empty() || !results.copies.empty() || results.launch;
  if (times_kernels) text += kernels_table(results);
  text += shares_table(results);
  if (!results.collectives.empty()) text += '\n' + collectives_table(results);
  if (!results.interference.empty()) text += '\n' + interference_table(results);
  return text;
}

}  // namespace fabricast::validation
