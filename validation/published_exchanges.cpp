// Published times of dispatches and combines: aiconfigurator's of DeepEP's kernels, and the tables in DeepEP's own documents.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "hardware_models/token_exchange.hpp"
#include "validation/published_parts.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

using hw::CollectiveAlgorithm;

constexpr double microsecond = 1e-6, gigabyte = 1e9;
constexpr std::int64_t in_a_node = 8, most_tokens = 1 << 20, most_top_k = 256, most_hidden = 1 << 20, most_experts = 1 << 14, most_ranks = 1 << 14;
constexpr std::int64_t many_tokens = 512;   // from here on start-up counts little

// DeepEP's tests let a token's experts lie on four nodes at most, as DeepSeek-V3 routes (tests/test_internode.py, num_topk_groups).
constexpr double node_limit = 4.0;
double reach_of(std::int64_t nodes) { return std::min(1.0, node_limit / static_cast<double>(nodes)); }

enum class Format : std::uint8_t { fp8, bf16 };
/// fp8: a byte per element and a scale of four bytes per 128 of them.
Bytes token_bytes(std::int64_t hidden, Format format) { return Bytes(format == Format::fp8 ? hidden + 4 * (hidden / 128) : 2 * hidden); }

std::int64_t within(const CsvTable& table, const CsvTable::Row& row, std::string_view column, std::int64_t least, std::int64_t most) {
  const std::int64_t value = table.integer(row, column);
  if (value < least || value > most) table.fail(row, column, fmt::format("is out of range; write {} to {}", least, most));
  return value;
}

std::string name_the_nodes(std::int64_t nodes) { return fmt::format("{} {}", nodes, nodes == 1 ? "node" : "nodes"); }

ExchangeMeasurement aiconfigurator_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into, CollectiveAlgorithm algorithm) {
  ExchangeMeasurement entry;
  entry.algorithm = algorithm;
  entry.nodes = within(table, row, "node_num", 1, most_ranks / in_a_node);
  entry.gpus_per_node = in_a_node;
  entry.tokens = within(table, row, "num_token", 1, most_tokens);
  entry.top_k = within(table, row, "num_topk", 1, most_top_k);
  entry.experts = within(table, row, "num_experts", 1, most_experts);
  entry.reach = algorithm == CollectiveAlgorithm::deduplicated ? reach_of(entry.nodes) : 1.0;
  entry.place = into.place(row);
  if (static_cast<double>(entry.top_k) > entry.reach * static_cast<double>(entry.experts)) {
    table.fail(row, "num_topk", "is more than the experts that a token may choose from");
  }
  return entry;
}

void add_exchange(BySystem& into, const std::string& system, ExchangeMeasurement entry, const std::string& family) {
  entry.family = fmt::format("{} top_k={} experts={} row={}", family, entry.top_k, entry.experts, entry.row.value());
  if (entry.sms > 0) entry.family += fmt::format(" sms={}", entry.sms);
  into.of(system).exchanges.push_back(std::move(entry));
}

/// "4096" before " tok" in "normal 4096 tok".
std::int64_t number_before(const CsvTable& table, const CsvTable::Row& row, std::string_view column, std::string_view word) {
  const std::string& text = table.text(row, column);
  const std::size_t end = text.find(word);
  std::size_t begin = end == std::string::npos ? 0 : text.find_last_of(' ', end - 1);
  begin = begin == std::string::npos ? 0 : begin + 1;
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + (end == std::string::npos ? begin : end), value);
  if (error != std::errc{} || stop != text.data() + end || value < 1 || value > most_tokens) {
    table.fail(row, column, fmt::format("gives no number before '{}'", word));
  }
  return value;
}

/// What DeepEP and Hybrid-EP divide by the time: each token once for every node (in one node: every rank) where it has an expert, the sender's
/// own included, so that rates exceed the NIC's. DeepEP, pull request 130: "algorithm bandwidth, for physical bandwidth, e.g. 58 x 3/4 = 43.5".
double logical_bytes(const ExchangeMeasurement& entry) {
  const std::int64_t parts = entry.nodes > 1 ? entry.nodes : entry.gpus_per_node;
  const double tokens = static_cast<double>(entry.tokens), rows = tokens * static_cast<double>(entry.top_k) / static_cast<double>(parts);
  const hw::TokenRouting routing{entry.row, entry.top_k, entry.experts, entry.combine, entry.reach};
  return hw::distinct_tokens(tokens, rows, routing) * static_cast<double>(parts) * static_cast<double>(entry.row.value());
}

struct Ranks {
  std::int64_t nodes, in_node;
};

Ranks ranks_of(const CsvTable& table, const CsvTable::Row& row, std::string_view column) {
  const std::int64_t ranks = within(table, row, column, 2, most_ranks);
  if (ranks > in_a_node && ranks % in_a_node != 0) table.fail(row, column, "does not fill nodes of 8");
  return ranks <= in_a_node ? Ranks{1, ranks} : Ranks{ranks / in_a_node, in_a_node};
}

// DeepEP's documents: hidden 7168, top-8; 256 experts, 288 in tests of the low-latency form; 24 SMs are what its tests give the normal one.
constexpr std::int64_t readme_hidden = 7168, readme_top_k = 8, readme_experts = 256, readme_sms = 24;

/// A rate, or a time where there is one.
void add_readme_way(const CsvTable& table, const CsvTable::Row& row, BySystem& into, const std::string& system, ExchangeMeasurement entry,
                    const std::string& kernel, bool combine) {
  const std::string way = combine ? "combine" : "dispatch", us = way + "_us", rate = way + "_GBps";
  entry.combine = combine;
  entry.row = token_bytes(readme_hidden, combine ? Format::bf16 : Format::fp8);
  const bool timed = !table.text(row, us).empty();
  const double seconds = timed ? table.positive(row, us) * microsecond : logical_bytes(entry) / (table.positive(row, rate) * gigabyte);
  entry.seconds = checked_time(seconds, entry.place);
  entry.kind = fmt::format("{} {} {}", kernel, way, name_the_nodes(entry.nodes));
  add_exchange(into, system, std::move(entry), "DeepEP's documents");
}

std::string system_of_hardware(const std::string& text) {
  if (text.find("SM100") != std::string::npos) return "b200_sxm";
  return text.find("SM90") != std::string::npos ? "h100_sxm" : system_named(text);
}

}  // namespace

void read_deepep_normal_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  const std::int64_t hidden = within(table, row, "hidden_size", 1, most_hidden);
  for (const bool combine : {false, true}) {
    const std::string way = combine ? "combine" : "dispatch";
    ExchangeMeasurement entry = aiconfigurator_row(table, row, into, CollectiveAlgorithm::deduplicated);
    entry.combine = combine;
    entry.row = token_bytes(hidden, combine ? Format::bf16 : Format::fp8);
    entry.sms = within(table, row, way + "_sms", 1, 1024);
    entry.seconds = checked_time(table.positive(row, way + "_transmit_us") * microsecond, entry.place);
    entry.kind = fmt::format("{} {} {} {} tokens", way, name_the_nodes(entry.nodes), entry.tokens >= many_tokens ? "from" : "below", many_tokens);
    add_exchange(into, table.text(row, "system"), std::move(entry), "aiconfigurator");
  }
}

void read_deepep_low_latency_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  const std::int64_t hidden = within(table, row, "hidden_size", 1, most_hidden);
  for (const bool combine : {false, true}) {
    const std::string way = combine ? "combine" : "dispatch";
    ExchangeMeasurement entry = aiconfigurator_row(table, row, into, CollectiveAlgorithm::low_latency);
    entry.combine = combine;
    entry.row = token_bytes(hidden, combine ? Format::bf16 : Format::fp8);
    entry.seconds = checked_time(table.positive(row, way + "_avg_t_us") * microsecond, entry.place);
    entry.kind = fmt::format("low-latency {} {}", way, name_the_nodes(entry.nodes));
    add_exchange(into, table.text(row, "system"), std::move(entry), "aiconfigurator");
  }
}

void read_deepep_document_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  const std::string& kernel = table.text(row, "kernel");
  const std::string& hardware = table.text(row, "hardware");
  const std::string system = system_of_hardware(hardware);
  if (system.empty()) return into.leave_out("no profile stands for " + hardware);
  if (hardware.find("pure RDMA") != std::string::npos) return into.leave_out("sent to GPUs of the node through NICs, which the simulator never does");
  const Ranks ranks = ranks_of(table, row, "EP");
  ExchangeMeasurement entry;
  entry.nodes = ranks.nodes;
  entry.gpus_per_node = ranks.in_node;
  entry.tokens = number_before(table, row, "kernel", " tok");
  entry.top_k = readme_top_k;
  entry.experts = readme_experts;
  entry.place = into.place(row);
  std::string name;
  if (kernel.find("low-latency") == 0) {
    name = "low-latency";
    entry.algorithm = CollectiveAlgorithm::low_latency;
  } else if (kernel.find("V2") == 0) {
    name = "DeepEP V2";
    entry.sms = number_before(table, row, "kernel", " SM");
  } else if (kernel.find("normal") == 0) {
    name = "DeepEP V1";
    entry.sms = readme_sms;
    entry.reach = reach_of(entry.nodes);
  } else {
    table.fail(row, "kernel", "is none that we know; there are: normal, low-latency, V2");
  }
  for (const bool combine : {false, true}) add_readme_way(table, row, into, system, entry, name, combine);
}

void read_hybrid_ep_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  constexpr std::int64_t tokens = 4096, experts_of_a_rank = 8;
  const std::string& platform = table.text(row, "platform");
  const std::string system = system_named(platform);
  if (system.empty()) return into.leave_out("no profile stands for " + platform);
  const Ranks ranks = ranks_of(table, row, "ranks");
  struct Column {
    const char* rate;
    const char* name;
    bool combine;
    Format format;
  };
  for (const Column& column : {Column{"kern_disp_fp8", "dispatch fp8", false, Format::fp8}, Column{"kern_disp_bf16", "dispatch bf16", false, Format::bf16},
                               Column{"kern_combine", "combine bf16", true, Format::bf16}}) {
    ExchangeMeasurement entry;
    entry.nodes = ranks.nodes;
    entry.gpus_per_node = ranks.in_node;
    entry.tokens = tokens;
    entry.top_k = readme_top_k;
    entry.experts = experts_of_a_rank * ranks.nodes * ranks.in_node;
    entry.combine = column.combine;
    entry.row = token_bytes(readme_hidden, column.format);
    entry.sms = within(table, row, "SMs", 1, 1024);
    entry.place = into.place(row);
    entry.seconds = checked_time(logical_bytes(entry) / (table.positive(row, column.rate) * gigabyte), entry.place);
    entry.kind = fmt::format("Hybrid-EP {} {}", column.name, name_the_nodes(entry.nodes));
    add_exchange(into, system, std::move(entry), "Hybrid-EP");
  }
}

}  // namespace fabricast::validation
