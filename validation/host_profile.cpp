#include "validation/host_profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "hardware_models/cluster_config.hpp"
#include "hardware_models/config_error.hpp"
#include "hardware_models/gpu_config.hpp"
#include "validation/calibration_text.hpp"
#include "validation/json_writer.hpp"
#include "validation/kernel_facts.hpp"

namespace fabricast::validation {

namespace {

using hw::CollectiveKind;
using hw::Precision;

/// What the rows say before any fit.
struct HostRates {
  std::int64_t ranks = 1;
  std::map<Precision, FlopPerSecond> peak;
  BytesPerSecond memory{}, link{};
  std::map<CollectiveKind, Seconds> shortest;
};

std::int64_t ranks_at_once(const Measurements& all) {
  std::int64_t ranks = 0;
  for (const KernelMeasurement& row : all.kernels) {
    if (ranks != 0 && row.concurrent != ranks) {
      throw hw::ConfigError(fmt::format("{}:{}: measured with {} ranks at once, and rows before it with {}; a host's profile is of one number", row.place.file,
                                        row.place.line, row.concurrent, ranks));
    }
    ranks = row.concurrent;
  }
  return ranks;
}

HostRates rates_of(const Measurements& all) {
  HostRates rates;
  rates.ranks = ranks_at_once(all);
  for (const KernelMeasurement& row : all.kernels) {
    const hw::Kernel& kernel = row.terms.front().kernel;
    FlopPerSecond& peak = rates.peak[precision_of(kernel)];
    peak = std::max(peak, hw::flop(kernel) / row.seconds);
    rates.memory = std::max(rates.memory, hw::memory_traffic(kernel) / row.seconds);
  }
  std::erase_if(rates.peak, [](const auto& entry) { return entry.second <= FlopPerSecond(0); });
  if (rates.peak.empty()) throw hw::ConfigError("the inputs hold no matrix product of a host; `fabricast execute --microbench --json FILE` measures some");
  for (const CollectiveMeasurement& row : all.collectives) {
    const double factor = hw::bus_factor(row.kind, row.nodes * row.gpus_per_node);
    rates.link = std::max(rates.link, row.bytes / row.seconds * factor);
    const auto [shortest, is_new] = rates.shortest.try_emplace(row.kind, row.seconds);
    if (!is_new) shortest->second = std::min(shortest->second, row.seconds);
  }
  if (rates.ranks > 1 && rates.shortest.empty()) {
    throw hw::ConfigError("the inputs hold no collective among the host's ranks; `fabricast execute --microbench --json FILE` measures some");
  }
  return rates;
}

std::string host_rate_text(double value, const char* unit) { return fmt::format("{:.4g} G{}/s", value * 1e-9, unit); }

void write_host_peak(JsonWriter& json, const HostRates& rates) {
  json.open_object("peak");
  json.field("source", "The best rate that a kernel of these measurements reached: no specification, but nothing was faster");
  for (const auto& [precision, rate] : rates.peak) json.field(hw::name_of(precision), host_rate_text(rate.value() * (1 + 1e-3), "FLOP"));
  json.close();
}

void write_host_gemm(JsonWriter& json) {
  json.open_object("gemm");
  json.field("setup", "0 us");
  json.field("sustained", 1.0);
  json.field("throttle", 0.0);
  json.field("burst", "0 us");
  json.field("memory", 1.0);
  json.field("prologue_k", 0);
  json.field("split_k", 0);
  json.open_array("tiles");
  for (const auto& [rows, efficiency] : {std::pair{256, 1.0}, {64, 1.0}, {16, 1.0}, {4, 1.0}}) {
    json.field_json({}, fmt::format(R"({{ "rows": {}, "columns": 16, "efficiency": {} }})", rows, efficiency));
  }
  json.close();
  json.close();
}

void write_attention_and_passes(JsonWriter& json) {
  json.open_object("attention");
  json.field("sustained", 0.3);
  json.field("tile_rows", 16);
  json.field("prologue_keys", 0);
  json.field("softmax_depth", 0);
  json.field("memory", 1.0);
  json.close();
  json.open_object("pass");
  for (const char* pass : {"embedding", "rms_norm", "rope", "residual_add", "activation", "router", "permute", "weighted_sum"}) json.field(pass, 0.01);
  json.close();
}

void write_host_rank(JsonWriter& json, const HostRates& rates, const runtime::Machine& machine) {
  json.open_object("gpu");
  json.field("name", "host_rank");
  json.field("source", "A rank of the host's runtime: one thread that computes, on its share of the processors and the memory's bandwidth. What is not "
                       "fitted costs nothing: tiles alike, no set-up, all of the memory's bandwidth. memory: the machine's over its ranks; 1 GiB where the "
                       "measurements do not say");
  json.field("streaming_multiprocessors", 1);
  write_host_peak(json, rates);
  json.field("memory_bandwidth", host_rate_text(rates.memory.value() * (1 + 1e-3), "B"));
  const std::int64_t memory = machine.memory > Bytes{} ? machine.memory.value() / rates.ranks : std::int64_t{1} << 30;
  json.field("memory", fmt::format("{} B", memory));
  json.field("launch", "0.1 us");
  json.field("contention", 0.0);
  write_host_gemm(json);
  write_attention_and_passes(json);
  json.close();
}

void write_host_node(JsonWriter& json, const HostRates& rates) {
  const std::string link = host_rate_text(std::max(1e6, rates.link.value() * 1.25), "B");
  json.open_object("node");
  json.field("source", "nvlink stands for the memory through which ranks hand over: a quarter above the best bus rate measured, to which shares refer. Its "
                       "latency is within the collectives'. pcie and fabric: unused on one node");
  json.field("gpus", rates.ranks);
  json.field("nvlink_bandwidth", link);
  json.field("nvlink_latency", "0 us");
  json.field("pcie_bandwidth", link);
  json.close();
  json.open_object("fabric");
  json.field("kind", "rail_optimized");
  json.field("nic_bandwidth", link);
  json.field("nic_latency", "0 us");
  json.field("switch_latency", "0 us");
  json.field("nodes_per_leaf", 1);
  json.field("spines", 1);
  json.close();
}

void write_host_exchange(JsonWriter& json, const HostRates& rates) {
  json.open_object("collectives");
  json.field("source", "Threads of one process: each member copies or sums its own part of what the others hold");
  json.field_json("channels", R"({ "ring": 1, "nvls": 1, "point_to_point": 1 })");
  json.open_object("base_latency");
  for (const CollectiveKind kind : hw::all_collective_kinds) {
    const auto found = rates.shortest.find(kind);
    json.field(hw::name_of(kind), duration_text(found == rates.shortest.end() ? 0.0 : found->second.value()));
  }
  json.close();
  json.field("nvlink_step_latency", "0 us");
  json.field("network_step_latency", "0 us");
  json.open_object("nvlink_efficiency");
  for (const CollectiveKind kind : hw::all_collective_kinds) json.field_json(hw::name_of(kind), R"({ "2": 0.5 })");
  json.close();
  json.open_object("network_efficiency");
  for (const CollectiveKind kind : hw::all_collective_kinds) json.field(hw::name_of(kind), 1.0);
  json.close();
  json.field_json("nvlink_ramp", R"({ "small_cost": 1.0, "size": "0 B" })");
  json.close();
}

std::string host_base_text(const Measurements& all, const HostRates& rates, const Provenance& provenance) {
  JsonWriter json;
  json.open_object();
  json.field("name", fmt::format("host_{}_ranks", rates.ranks));
  json.field("source", fmt::format("{}, {} ranks at once, {} by fabricast calibrate", provenance.machine, rates.ranks, provenance.date.substr(0, 10)));
  json.field("nodes", 1);
  write_host_rank(json, rates, all.machine);
  write_host_node(json, rates);
  write_host_exchange(json, rates);
  json.field("memory_reserve", "0 B");
  json.close();
  return std::move(json).text();
}

/// Of kinds that were not measured.
void add_slowest(std::vector<ProfileChange>& changes, const hw::CollectiveSpec& fitted, const HostRates& rates) {
  Seconds longest{};
  double least = 1.0;
  for (const auto& [kind, seconds] : rates.shortest) {
    longest = std::max(longest, fitted.base_latency.at(kind));
    for (const auto& [members, share] : fitted.nvlink_efficiency.at(kind)) least = std::min(least, share);
  }
  for (const CollectiveKind kind : hw::all_collective_kinds) {
    if (rates.shortest.contains(kind)) continue;
    changes.push_back({fmt::format("/base_latency/{}", hw::name_of(kind)), duration_text(longest.value())});
    changes.push_back({fmt::format("/nvlink_efficiency/{}/2", hw::name_of(kind)), least});
  }
}

}  // namespace

HostCalibration calibrate_host(const Measurements& measurements, const Provenance& provenance) {
  const HostRates rates = rates_of(measurements);
  hw::JsonNode document = hw::parse_json_text(host_base_text(measurements, rates, provenance), "the host's base");
  hw::JsonNode &rank = *document.find("gpu"), &exchange = *document.find("collectives");
  HostCalibration result{rates.ranks, calibrate_gpu(hw::read_gpu(rank), measurements), {}, {}};
  rank = hw::parse_json_text(profile_text(rank, changes_of(result.rank, rank, {}, provenance.date), result.rank.gpu.calibration, provenance), "a host's rank");
  if (rates.ranks > 1) {
    result.exchange = calibrate_collectives(hw::read_cluster(document), measurements);
    std::vector<ProfileChange> changes = changes_of(*result.exchange, exchange, provenance.date);
    add_slowest(changes, result.exchange->collectives, rates);
    exchange = hw::parse_json_text(profile_text(exchange, changes, result.exchange->collectives.calibration, provenance), "the host's exchange");
  }
  result.cluster = changed_text(document, {});
  (void)hw::read_cluster(hw::parse_json_text(result.cluster, "the host's profile"));
  return result;
}

}  // namespace fabricast::validation
