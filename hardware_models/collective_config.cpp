#include "hardware_models/collective_config.hpp"

#include <array>
#include <charconv>
#include <string>

#include "hardware_models/calibration_config.hpp"
#include "hardware_models/json_reader.hpp"

namespace fabricast::hw {

namespace {

constexpr double least_share = 1e-3;
constexpr double most_small_cost = 100.0, most_forwarding = 100.0;
constexpr std::int64_t most_members = 1024;
constexpr IntegerRange channel_range{1, 1024}, piece_range{1, 1 << 20};
constexpr double most_stages = 100.0;
constexpr Bytes least_chunk(16 << 10);

std::map<CollectiveKind, Seconds> read_latencies(const JsonNode& node) {
  ObjectReader reader(node);
  std::map<CollectiveKind, Seconds> latencies;
  for (const CollectiveKind kind : all_collective_kinds) latencies[kind] = reader.duration(name_of(kind));
  reader.finish();
  return latencies;
}

std::int64_t member_count(const JsonNode& node, const std::string& key) {
  std::int64_t members = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), members);
  if (error != std::errc{} || end != key.data() + key.size() || members < 1 || members > most_members) {
    fail(node, "\"" + key + "\" is no number of members in a node; keys are like \"2\" and \"8\"");
  }
  return members;
}

std::map<std::int64_t, double> read_by_members(const JsonNode& node) {
  std::map<std::int64_t, double> efficiency;
  for (const auto& [key, value] : as_object(node)) {
    if (!efficiency.emplace(member_count(value, key), as_number(value, least_share, 1.0)).second) {
      fail(value, "\"" + key + "\" stands for a number of members that was given before; keep one");
    }
  }
  if (efficiency.empty()) fail(node, "gives no efficiency; name at least one number of members, as in {\"8\": 0.75}");
  return efficiency;
}

std::map<CollectiveKind, std::map<std::int64_t, double>> read_nvlink(const JsonNode& node) {
  ObjectReader reader(node);
  std::map<CollectiveKind, std::map<std::int64_t, double>> efficiency;
  for (const CollectiveKind kind : all_collective_kinds) efficiency[kind] = read_by_members(reader.child(name_of(kind)));
  reader.finish();
  return efficiency;
}

std::map<CollectiveKind, double> read_network(const JsonNode& node) {
  ObjectReader reader(node);
  std::map<CollectiveKind, double> efficiency;
  for (const CollectiveKind kind : all_collective_kinds) efficiency[kind] = reader.number(name_of(kind), least_share, 1.0);
  reader.finish();
  return efficiency;
}

TransferRamp read_ramp(const JsonNode& node) {
  ObjectReader reader(node);
  TransferRamp ramp;
  ramp.small_cost = reader.number("small_cost", 1.0, most_small_cost);
  ramp.size = reader.bytes("size");
  reader.finish();
  return ramp;
}

TransferMode read_mode(const JsonNode& node) {
  ObjectReader reader(node);
  TransferMode mode;
  mode.call = reader.duration("call");
  mode.nvlink_step = reader.duration("nvlink_step");
  mode.network_step = reader.duration("network_step");
  mode.nvlink_share = reader.number("nvlink_share", least_share, 1.0);
  mode.network_share = reader.number("network_share", least_share, 1.0);
  mode.fill = reader.duration("fill");
  mode.fill_size = reader.bytes("fill_size");
  if (mode.fill_size < Bytes(1)) fail(reader.child("fill_size"), "must be a byte at least: it divides what is sent");
  reader.finish();
  return mode;
}

TunerEstimate read_estimate(const JsonNode& node) {
  ObjectReader reader(node);
  const TunerEstimate estimate{reader.duration("call"), reader.duration("step"), reader.bandwidth("rate")};
  reader.finish();
  return estimate;
}

Tuner read_tuner(const JsonNode& node) {
  ObjectReader reader(node);
  Tuner tuner;
  tuner.ll = read_estimate(reader.child("ll"));
  tuner.ll128 = read_estimate(reader.child("ll128"));
  tuner.simple = read_estimate(reader.child("simple"));
  if (const auto* nvls = reader.optional_child("nvls")) tuner.nvls = read_estimate(*nvls);
  reader.finish();
  return tuner;
}

SwitchLoops read_loops(const JsonNode& node) {
  ObjectReader reader(node);
  SwitchLoops loops;
  loops.in_node = reader.bytes("chunk");
  loops.across = reader.bytes("chunk_across");
  for (const char* key : {"chunk", "chunk_across"}) {
    if (reader.bytes(key) < least_chunk) fail(reader.child(key), "must be 16 KiB at least, the smallest chunk that NCCL takes");
  }
  loops.loop = reader.duration("loop");
  loops.stages = reader.number("stages", 0.0, most_stages);
  loops.stages_across = reader.number("stages_across", 0.0, most_stages);
  reader.finish();
  return loops;
}

TokenKernel read_token_kernel(const JsonNode& node) {
  ObjectReader reader(node);
  TokenKernel kernel;
  kernel.mode = read_mode(reader.child("mode"));
  kernel.row = reader.duration("row");
  kernel.nvlink_per_sm = reader.bandwidth("nvlink_per_sm");
  kernel.forwarding = reader.number("forwarding", 1.0, most_forwarding);
  if (const auto piece = reader.optional_integer("piece", piece_range)) kernel.piece = *piece;
  reader.finish();
  return kernel;
}

TokenKernels read_token_kernels(const JsonNode& node) {
  ObjectReader reader(node);
  TokenKernels kernels;
  kernels.sms = reader.integer("sms", channel_range);
  kernels.dispatch = read_token_kernel(reader.child("dispatch"));
  kernels.combine = read_token_kernel(reader.child("combine"));
  kernels.low_latency = read_mode(reader.child("low_latency"));
  reader.finish();
  return kernels;
}

LibraryKernels read_kernels(const JsonNode& node) {
  ObjectReader reader(node);
  LibraryKernels kernels;
  kernels.nvlink = reader.bandwidth("nvlink");
  kernels.network = reader.bandwidth("network");
  kernels.call = reader.duration("call");
  kernels.channel_rate = reader.bandwidth("channel_rate");
  kernels.ll = read_mode(reader.child("ll"));
  kernels.ll128 = read_mode(reader.child("ll128"));
  kernels.simple = read_mode(reader.child("simple"));
  kernels.point_to_point = read_mode(reader.child("point_to_point"));
  kernels.nvls = read_mode(reader.child("nvls"));
  kernels.nvls_tree = read_mode(reader.child("nvls_tree"));
  if (const auto* ll = reader.optional_child("point_to_point_ll")) kernels.point_to_point_ll = read_mode(*ll);
  if (const auto* loops = reader.optional_child("switch_loops")) kernels.switch_loops = read_loops(*loops);
  if (const auto* tuner = reader.optional_child("tuner")) kernels.tuner = read_tuner(*tuner);
  if (reader.optional_child("message") != nullptr) kernels.message = reader.duration("message");
  if (const auto* tokens = reader.optional_child("tokens")) kernels.tokens = read_token_kernels(*tokens);
  reader.finish();
  return kernels;
}

CollectiveChannels read_channels(const JsonNode& node) {
  ObjectReader reader(node);
  CollectiveChannels channels;
  channels.ring = reader.integer("ring", channel_range);
  channels.nvls = reader.integer("nvls", channel_range);
  channels.point_to_point = reader.integer("point_to_point", channel_range);
  reader.finish();
  return channels;
}

void read_by_kind(ObjectReader& reader, CollectiveSpec& spec) {
  spec.base_latency = read_latencies(reader.child("base_latency"));
  spec.nvlink_step_latency = reader.duration("nvlink_step_latency");
  spec.network_step_latency = reader.duration("network_step_latency");
  spec.nvlink_efficiency = read_nvlink(reader.child("nvlink_efficiency"));
  spec.network_efficiency = read_network(reader.child("network_efficiency"));
  spec.nvlink_ramp = read_ramp(reader.child("nvlink_ramp"));
}

}  // namespace

// A profile describes the library's kernels, or gives a latency and efficiencies by kind.
CollectiveSpec read_collectives(const JsonNode& node) {
  ObjectReader reader(node);
  CollectiveSpec spec;
  if (const auto* channels = reader.optional_child("channels")) spec.channels = read_channels(*channels);
  if (const auto chunk = reader.optional_bytes("pipeline_chunk")) spec.pipeline_chunk = *chunk;
  if (const auto* kernels = reader.optional_child("kernels")) {
    spec.kernels = read_kernels(*kernels);
  } else {
    read_by_kind(reader, spec);
  }
  if (const JsonNode* calibration = reader.optional_child("calibration")) spec.calibration = read_calibration(*calibration);
  reader.finish();
  return spec;
}

}  // namespace fabricast::hw
