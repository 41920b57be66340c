#include "hardware_models/gpu_config.hpp"

#include <initializer_list>
#include <string>

#include "hardware_models/calibration_config.hpp"
#include "hardware_models/json_reader.hpp"

namespace fabricast::hw {

namespace {

// Ranges catch slips of the pen (a percentage for a share, bits for bytes), not chips to come.
constexpr IntegerRange sm_range{1, 4096};
constexpr IntegerRange tile_range{1, 4096};
constexpr IntegerRange step_range{0, 1 << 20};
constexpr double least_share = 1e-3, least_pass_share = 1e-5;   // a host computes some passes element by element
constexpr double most_contention = 0.5;   // above it, time could fall as work is added
constexpr double most_throttle = 10.0;
constexpr double most_memory_interference = 4.0;

double share(ObjectReader& reader, std::string_view key) { return reader.number(key, least_share, 1.0); }

std::array<FlopPerSecond, 4> read_peak(const JsonNode& node) {
  ObjectReader reader(node);
  std::array<FlopPerSecond, 4> peak{};
  bool any = false;
  for (const Precision precision : {Precision::fp32, Precision::fp16, Precision::bf16, Precision::fp8}) {
    if (const auto rate = reader.optional_flop_rate(name_of(precision))) {
      peak[static_cast<std::size_t>(precision)] = *rate;
      any = true;
    }
  }
  reader.finish();
  if (!any) fail(node, "names no precision; give the dense rate of at least one of fp32, fp16, bf16, fp8");
  return peak;
}

std::vector<GemmTile> read_tiles(const JsonNode& node) {
  std::vector<GemmTile> tiles;
  for (const JsonNode& element : as_array(node)) {
    ObjectReader reader(element);
    const std::int64_t rows = reader.integer("rows", tile_range);
    const std::int64_t columns = reader.integer("columns", tile_range);
    tiles.push_back({rows, columns, share(reader, "efficiency")});
    reader.finish();
  }
  if (tiles.empty()) fail(node, "has no tile; a GEMM needs at least one");
  return tiles;
}

GroupedGemmEfficiency read_grouped(const JsonNode& node) {
  ObjectReader reader(node);
  GroupedGemmEfficiency grouped;
  grouped.memory = share(reader, "memory");
  grouped.tile_load = reader.bandwidth("tile_load");
  grouped.tiles = read_tiles(reader.child("tiles"));
  reader.finish();
  return grouped;
}

GemmEfficiency read_gemm(const JsonNode& node) {
  ObjectReader reader(node);
  GemmEfficiency gemm;
  gemm.setup = reader.duration("setup");
  gemm.sustained = share(reader, "sustained");
  gemm.sustained_fp8 = reader.optional_number("sustained_fp8", least_share, 1.0);
  gemm.throttle = reader.number("throttle", 0.0, most_throttle);
  gemm.burst = reader.duration("burst");
  gemm.memory = share(reader, "memory");
  gemm.prologue_k = reader.integer("prologue_k", step_range);
  gemm.split_k = reader.integer("split_k", step_range);
  gemm.tiles = read_tiles(reader.child("tiles"));
  if (const JsonNode* grouped = reader.optional_child("grouped")) gemm.grouped = read_grouped(*grouped);
  reader.finish();
  return gemm;
}

DecodeEfficiency read_decode(const JsonNode& node) {
  ObjectReader reader(node);
  DecodeEfficiency decode;
  decode.shared_block = reader.duration("shared_block");
  decode.single_block = reader.duration("single_block");
  decode.most_shared = reader.integer("most_shared", {1, 1 << 20});
  decode.block_rate = reader.bandwidth("block_rate");
  decode.fill = reader.duration("fill");
  decode.shared_reads = reader.bandwidth("shared_reads");
  reader.finish();
  return decode;
}

AttentionEfficiency read_attention(const JsonNode& node) {
  ObjectReader reader(node);
  AttentionEfficiency attention;
  attention.sustained = share(reader, "sustained");
  attention.tile_rows = reader.integer("tile_rows", tile_range);
  attention.prologue_keys = reader.integer("prologue_keys", step_range);
  attention.softmax_depth = reader.integer("softmax_depth", step_range);
  attention.memory = share(reader, "memory");
  if (const JsonNode* decode = reader.optional_child("decode")) attention.decode = read_decode(*decode);
  reader.finish();
  return attention;
}

PassCache read_pass_cache(const JsonNode& node) {
  ObjectReader reader(node);
  PassCache cache;
  cache.size = reader.bytes("size");
  for (const PassKind pass : all_passes) cache.share[pass] = reader.optional_number(name_of(pass), least_pass_share, 1.0);
  reader.finish();
  return cache;
}

ByPass<std::optional<BytesPerSecond>> read_row_rates(const JsonNode& node) {
  ObjectReader reader(node);
  ByPass<std::optional<BytesPerSecond>> row;
  for (const PassKind pass : all_passes) {
    if (const JsonNode* rate = reader.optional_child(name_of(pass))) row[pass] = as_bandwidth(*rate);
  }
  reader.finish();
  return row;
}

PassEfficiency read_pass(const JsonNode& node) {
  ObjectReader reader(node);
  PassEfficiency pass;
  for (const PassKind kind : all_passes) pass[kind] = reader.number(name_of(kind), least_pass_share, 1.0);
  if (const JsonNode* cache = reader.optional_child("cache")) pass.cache = read_pass_cache(*cache);
  if (const JsonNode* row = reader.optional_child("row")) pass.row = read_row_rates(*row);
  reader.finish();
  return pass;
}

Interference read_interference(const JsonNode& node) {
  ObjectReader reader(node);
  Interference interference;
  interference.sms = reader.optional_number("sms", 0.0, 1.0).value_or(interference.sms);
  interference.memory = reader.optional_number("memory", 0.0, most_memory_interference).value_or(interference.memory);
  reader.finish();
  return interference;
}

}  // namespace

GpuSpec read_gpu(const JsonNode& node) {
  ObjectReader reader(node);
  GpuSpec gpu;
  gpu.name = reader.text("name");
  gpu.streaming_multiprocessors = reader.integer("streaming_multiprocessors", sm_range);
  gpu.peak = read_peak(reader.child("peak"));
  gpu.memory_bandwidth = reader.bandwidth("memory_bandwidth");
  gpu.memory = reader.bytes("memory");
  gpu.launch = reader.duration("launch");
  gpu.contention = reader.number("contention", 0.0, most_contention);
  gpu.gemm = read_gemm(reader.child("gemm"));
  gpu.attention = read_attention(reader.child("attention"));
  gpu.pass = read_pass(reader.child("pass"));
  if (const JsonNode* interference = reader.optional_child("interference")) gpu.interference = read_interference(*interference);
  if (const JsonNode* calibration = reader.optional_child("calibration")) gpu.calibration = read_calibration(*calibration);
  reader.finish();
  return gpu;
}

}  // namespace fabricast::hw
