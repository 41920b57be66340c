#include "hardware_models/gpu_cost.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "hardware_models/config_error.hpp"

namespace fabricast::hw {

namespace {

constexpr std::int64_t most_k_parts = 8;      // deepest split of k that libraries choose
constexpr std::int64_t least_query_rows = 64;  // of a tile: the rows of Hopper's matrix instruction (PTX wgmma), fewer are padded

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

FlopPerSecond peak_of(const GpuSpec& gpu, Precision precision) {
  const FlopPerSecond peak = gpu.peak[static_cast<std::size_t>(precision)];
  if (peak <= FlopPerSecond(0)) {
    throw ConfigError(gpu.name + " has no arithmetic unit for " + std::string(name_of(precision)) + "; choose another precision or GPU");
  }
  return peak;
}

/// A GPU less what others hold of it.
struct Chip {
  const GpuSpec& gpu;
  std::int64_t streaming_multiprocessors;
  BytesPerSecond memory_bandwidth;
};

/// One SM is always left. Between two that both want all of the memory bandwidth each gets half, so a kernel never has less than that.
Chip what_is_left(const GpuSpec& gpu, const GpuLoad& load) {
  const double held_sms = static_cast<double>(load.streaming_multiprocessors) * gpu.interference.sms;
  const std::int64_t free_sms = std::max<std::int64_t>(gpu.streaming_multiprocessors - std::llround(held_sms), 1);
  return {gpu, free_sms, std::max(gpu.memory_bandwidth - load.memory_bandwidth * gpu.interference.memory, gpu.memory_bandwidth / 2.0)};
}

/// What one SM does at `share` of the peak.
FlopPerSecond sm_rate(const GpuSpec& gpu, Precision precision, double share) {
  return peak_of(gpu, precision) * (share / static_cast<double>(gpu.streaming_multiprocessors));
}

Seconds stream(Bytes traffic, const Chip& chip, double share) { return traffic / (chip.memory_bandwidth * share); }

/// (1 - y / 1024)^1024, which is e^-y within y^2 / 2048 of it: products only, since libraries round exp differently.
double decay(double y) {
  double power = std::max(0.0, 1.0 - y / 1024.0);
  for (int i = 0; i < 10; ++i) power *= power;
  return power;
}

/// Share of `traffic` that a cache of random replacement holds when kernel after kernel streams as many bytes: a line stays with probability h
/// while (1 - h)·traffic / size others are replaced one by one, so h = exp(-(1 - h)·traffic / size), whose root below 1 is bracketed.
double hit_share(Bytes traffic, Bytes size) {
  if (traffic <= size) return 1.0;
  const double times = static_cast<double>(traffic.value()) / static_cast<double>(size.value());
  double low = 0.0, high = 1.0 / times;   // there e^-(times - 1) <= 1 / times, as e^x >= 1 + x
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (decay((1.0 - middle) * times) > middle ? low : high) = middle;
  }
  return low;
}

/// What lies in the cache at its rate, the rest at the memory's; never less than the block of one row takes for it.
Seconds pass_time(PassKind kind, Bytes traffic, Bytes row, const Chip& chip) {
  const PassEfficiency& pass = chip.gpu.pass;
  Seconds time = stream(traffic, chip, pass[kind]);
  if (pass.cache) {
    const double hits = hit_share(traffic, pass.cache->size);
    const double share = std::max(pass.cache->share[kind].value_or(0.0), pass[kind]);   // no slower than from memory
    time = time * (1.0 - hits) + stream(traffic, chip, share) * hits;
  }
  return pass.row[kind] ? std::max(time, row / *pass.row[kind]) : time;
}

/// The longer of the two, lengthened by as much as they compete: longer · (1 + contention · (shorter / longer)³). Rises with either
/// time as long as contention <= 1/2.
Seconds join(Seconds arithmetic, Seconds memory, double contention) {
  const auto [shorter, longer] = std::minmax(arithmetic, memory);
  if (longer <= Seconds(0)) return longer;
  const double ratio = shorter / longer;
  return longer * (1.0 + contention * ratio * ratio * ratio);
}

/// A product of these row blocks, each with a k·n weight of its own; blocks without rows hold no work.
struct Product {
  std::span<const std::int64_t> row_blocks;
  std::int64_t n, k;
  Precision precision;
};

double sustained(const GemmEfficiency& gemm, Precision precision) {
  return precision == Precision::fp8 ? gemm.sustained_fp8.value_or(gemm.sustained) : gemm.sustained;
}

/// One SM works on one tile at a time. Tiles of all blocks are summed before waves are counted, so a skewed grouped GEMM pays for its tail
/// once.
std::int64_t waves_of(const Product& work, const GemmTile& tile, std::int64_t parts, const Chip& chip) {
  std::int64_t row_tiles = 0;
  for (const std::int64_t rows : work.row_blocks) row_tiles += divide_up(rows, tile.rows);
  const std::int64_t tiles = row_tiles * divide_up(work.n, tile.columns) * parts;
  return divide_up(tiles, chip.streaming_multiprocessors);
}

/// waves · 2·rows·columns·(k / parts + prologue) / rate of an SM.
Seconds waves_time(const Product& work, const GemmTile& tile, std::int64_t parts, const Chip& chip) {
  const GpuSpec& gpu = chip.gpu;
  const std::int64_t waves = waves_of(work, tile, parts, chip);
  const std::int64_t overhead = gpu.gemm.prologue_k + (parts > 1 ? parts * gpu.gemm.split_k : 0);
  const double steps = static_cast<double>(work.k) / static_cast<double>(parts) + static_cast<double>(overhead);
  const Flop per_tile(2.0 * static_cast<double>(tile.rows * tile.columns) * steps);
  return static_cast<double>(waves) * (per_tile / sm_rate(gpu, work.precision, sustained(gpu.gemm, work.precision) * tile.efficiency));
}

/// Beyond `burst` the power limit lowers the clock; a busy chip has its burst behind it.
Seconds throttled(Seconds time, const GemmEfficiency& gemm, Duty duty) {
  const Seconds burst = duty == Duty::alone ? gemm.burst : Seconds(0);
  return time > burst ? time + (time - burst) * gemm.throttle : time;
}

/// The library picks the tile, and the split of k where `may_split`, that is done first.
Seconds product_arithmetic(const Product& work, bool may_split, const Chip& chip, Duty duty) {
  Seconds best(std::numeric_limits<double>::infinity());
  for (const GemmTile& tile : chip.gpu.gemm.tiles) {
    for (std::int64_t parts = 1; parts <= (may_split ? most_k_parts : 1); parts *= 2) {
      best = std::min(best, waves_time(work, tile, parts, chip));
    }
  }
  return throttled(best, chip.gpu.gemm, duty);
}

Product product_of(const GroupedGemm<ExpertRowCounts>& work) { return {work.rows, work.n, work.k, work.precision}; }

/// A tile multiplies rows·columns elements for (rows + columns) that its SM takes in, each k + prologue times, so a short or narrow tile waits
/// for its operands: waves · max(2·rows·columns / rate of an SM, (rows + columns)·bytes / tile_load)·(k + prologue).
Seconds grouped_arithmetic(const Product& work, const GemmTile& tile, const Chip& chip, Duty duty) {
  const GemmEfficiency& gemm = chip.gpu.gemm;
  const Bytes operands((tile.rows + tile.columns) * (work.k + gemm.prologue_k) * element_bytes(work.precision));
  const Seconds loading = static_cast<double>(waves_of(work, tile, 1, chip)) * (operands / gemm.grouped->tile_load);
  return throttled(std::max(waves_time(work, tile, 1, chip), loading), gemm, duty);
}

Seconds grouped_time(const GroupedGemm<ExpertRowCounts>& work, const GemmTile& tile, Seconds memory, const Chip& chip, Duty duty) {
  return join(grouped_arithmetic(product_of(work), tile, chip, duty), memory, chip.gpu.contention);
}

/// The tile of which the work is done first.
const GemmTile& best_tile(const GroupedGemm<ExpertRowCounts>& work, const Chip& chip, Duty duty) {
  const GroupedGemmEfficiency& grouped = *chip.gpu.gemm.grouped;
  const Seconds memory = stream(memory_traffic(work), chip, grouped.memory);
  const auto sooner = [&](const GemmTile& a, const GemmTile& b) {
    return grouped_time(work, a, memory, chip, duty) < grouped_time(work, b, memory, chip, duty);
  };
  return *std::min_element(grouped.tiles.begin(), grouped.tiles.end(), sooner);
}

/// The library chose its tile by timing the layer alone with even rows, or chooses it for these rows and what is left of the chip.
const GemmTile& chosen_tile(const GroupedGemm<ExpertRowCounts>& work, const Chip& chip, Duty duty) {
  if (work.tuned_rows == 0) return best_tile(work, chip, duty);
  const GroupedGemm<ExpertRowCounts> even{ExpertRowCounts(work.rows.size(), work.tuned_rows), work.n, work.k, work.precision};
  return best_tile(even, what_is_left(chip.gpu, {}), duty);
}

/// How the queries of an attention kernel fall into tiles. Query heads that share a key head fill a tile together.
struct QueryTiles {
  double count;        // over sequences and key heads
  double rows;         // of one tile, padding included
  double mean_keys;    // that a tile works through, masked halves of the diagonal included
  double most_keys;
  bool single;         // all queries of a key head fit one tile
};

QueryTiles query_tiles(const Attention<std::int64_t>& work, std::int64_t tile_rows) {
  const std::int64_t rows_per_key_head = divide_up(work.query_length * work.heads, work.kv_heads);
  const std::int64_t tiles_per_key_head = divide_up(rows_per_key_head, tile_rows);
  const std::int64_t rows = std::min(tile_rows, divide_up(rows_per_key_head, least_query_rows) * least_query_rows);
  const double keys = static_cast<double>(work.kv_length);
  const double queries = static_cast<double>(std::min(work.query_length, work.kv_length));
  // Causal: query i of q sees kv − q + i keys, kv − q/2 in the mean; a tile also computes the masked half of its own diagonal block.
  const double seen = keys - queries / 2.0 + std::min(queries, static_cast<double>(tile_rows)) / 2.0;
  return {static_cast<double>(work.sequences * work.kv_heads * tiles_per_key_head), static_cast<double>(rows), work.causal ? seen : keys,
          keys, tiles_per_key_head == 1};
}

/// What one tile costs: for each key, and before the first.
struct TileCost {
  Seconds per_key, prologue;
};

/// A score costs 4·head_dim FLOP of products and an exponential worth 4·softmax_depth more.
TileCost tile_cost(const Attention<std::int64_t>& work, double rows, const GpuSpec& gpu) {
  const AttentionEfficiency& efficiency = gpu.attention;
  const double depth = static_cast<double>(work.head_dim + efficiency.softmax_depth);
  const Seconds row = Flop(4.0 * depth) / sm_rate(gpu, work.precision, efficiency.sustained);
  return {row * rows, row * static_cast<double>(efficiency.tile_rows * efficiency.prologue_keys)};
}

/// Tiles are handed out as SMs fall free. The last one starts, in the mean, half its length before the others end:
/// total / SMs + longest / 2, and never less than the longest tile.
Seconds drained(const TileCost& cost, const QueryTiles& tiles, double parts, const Chip& chip) {
  const Seconds longest = cost.per_key * (tiles.most_keys / parts) + cost.prologue;
  const Seconds mean = cost.per_key * (tiles.mean_keys / parts) + cost.prologue;
  const double tiles_per_sm = tiles.count * parts / static_cast<double>(chip.streaming_multiprocessors);
  return std::max(longest, mean * tiles_per_sm + longest / 2.0);
}

/// A tile streams its keys only once it has begun, and an SM holds one tile, so beginnings overlap neither arithmetic nor memory.
Seconds attention_time(const TileCost& cost, const QueryTiles& tiles, double parts, Seconds memory, const Chip& chip) {
  const Seconds beginnings = drained({Seconds(0), cost.prologue}, tiles, parts, chip);
  return beginnings + join(drained({cost.per_key, Seconds(0)}, tiles, parts, chip), memory, chip.gpu.contention);
}

/// Tiles that hold all queries of a key head may split their keys over idle SMs (decoding); longer queries fill the chip by themselves.
Seconds attention_time(const Attention<std::int64_t>& work, const Chip& chip) {
  const GpuSpec& gpu = chip.gpu;
  const QueryTiles tiles = query_tiles(work, gpu.attention.tile_rows);
  const TileCost cost = tile_cost(work, tiles.rows, gpu);
  const Seconds memory = stream(memory_traffic(work), chip, gpu.attention.memory);
  Seconds best = attention_time(cost, tiles, 1.0, memory, chip);
  if (!tiles.single) return best;
  for (double parts = 2; tiles.most_keys / parts >= static_cast<double>(gpu.attention.tile_rows); parts *= 2) {
    best = std::min(best, attention_time(cost, tiles, parts, memory, chip));
  }
  return best;
}

/// The same pass over a single row.
template <class Work> Work one_row(Work work) {
  work.rows = 1;
  return work;
}
Embedding<std::int64_t> one_row(Embedding<std::int64_t> work) {
  work.tokens = 1;
  return work;
}
WeightedSum<std::int64_t> one_row(WeightedSum<std::int64_t> work) {
  work.tokens = work.rows = 1;
  return work;
}

/// Time beyond the launch, by kernel.
struct WorkTime {
  const Chip& chip;
  Duty duty;
  const GpuSpec& gpu = chip.gpu;

  template <class Work> Seconds pass(PassKind kind, const Work& work) const {
    return pass_time(kind, memory_traffic(work), memory_traffic(one_row(work)), chip);
  }
  Seconds operator()(const Gemm<std::int64_t>& work) const {
    const std::array<std::int64_t, 1> rows{work.m};
    return gpu.gemm.setup + join(product_arithmetic({rows, work.n, work.k, work.precision}, true, chip, duty),
                                 stream(memory_traffic(work), chip, gpu.gemm.memory), gpu.contention);
  }
  Seconds operator()(const GroupedGemm<ExpertRowCounts>& work) const {
    if (gpu.gemm.grouped) {
      const Seconds memory = stream(memory_traffic(work), chip, gpu.gemm.grouped->memory);
      return gpu.gemm.setup + grouped_time(work, chosen_tile(work, chip, duty), memory, chip, duty);
    }
    return gpu.gemm.setup + join(product_arithmetic(product_of(work), false, chip, duty), stream(memory_traffic(work), chip, gpu.gemm.memory),
                                 gpu.contention);
  }
  Seconds operator()(const Attention<std::int64_t>& work) const {
    return attention_time(work, chip);
  }
  /// A GEMM that writes the logits, then a pass that turns them into choices.
  Seconds operator()(const Router<std::int64_t>& work) const {
    const Gemm<std::int64_t> logits{work.rows, work.experts, work.width, work.precision};
    const Bytes logit_bytes(work.rows * work.experts * element_bytes(Precision::fp32));
    const Bytes inputs = memory_traffic(Router<std::int64_t>{work.rows, work.width, work.experts, 0, work.precision});
    const Bytes choices = memory_traffic(work) - inputs;
    return (*this)(logits) + gpu.launch + pass_time(PassKind::router, logit_bytes + choices, Bytes(work.experts * element_bytes(Precision::fp32)), chip);
  }
  Seconds operator()(const Embedding<std::int64_t>& work) const { return pass(PassKind::embedding, work); }
  Seconds operator()(const RmsNorm<std::int64_t>& work) const { return pass(PassKind::rms_norm, work); }
  Seconds operator()(const Rope<std::int64_t>& work) const { return pass(PassKind::rope, work); }
  Seconds operator()(const ResidualAdd<std::int64_t>& work) const { return pass(PassKind::residual_add, work); }
  Seconds operator()(const Activation<std::int64_t>& work) const { return pass(PassKind::activation, work); }
  Seconds operator()(const Permute<std::int64_t>& work) const { return pass(PassKind::permute, work); }
  Seconds operator()(const WeightedSum<std::int64_t>& work) const { return pass(PassKind::weighted_sum, work); }
};

struct IsEmpty {
  bool operator()(const Gemm<std::int64_t>& work) const { return work.m == 0; }
  bool operator()(const GroupedGemm<ExpertRowCounts>& work) const {
    return std::all_of(work.rows.begin(), work.rows.end(), [](std::int64_t rows) { return rows == 0; });
  }
  bool operator()(const Attention<std::int64_t>& work) const {
    return work.sequences == 0 || work.query_length == 0 || work.kv_length == 0;
  }
  bool operator()(const Embedding<std::int64_t>& work) const { return work.tokens == 0; }
  bool operator()(const RmsNorm<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const Rope<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const ResidualAdd<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const Activation<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const Router<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const Permute<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const WeightedSum<std::int64_t>& work) const { return work.tokens == 0 && work.rows == 0; }
};

Precision precision_of(const Kernel& kernel) {
  return std::visit([](const auto& work) { return work.precision; }, kernel);
}

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

bool is_share(double value) { return value > 0.0 && value <= 1.0; }

void check_tiles(const std::vector<GemmTile>& tiles) {
  require(!tiles.empty(), "a GPU needs a GEMM tile");
  for (const GemmTile& tile : tiles) {
    require(tile.rows >= 1 && tile.columns >= 1 && is_share(tile.efficiency),
            "a GEMM tile needs rows, columns and an efficiency in (0, 1]");
  }
}

void check_passes(const PassEfficiency& pass) {
  if (pass.cache) require(pass.cache->size > Bytes{}, "a GPU's cache holds something");
  for (const PassKind kind : all_passes) {
    require(is_share(pass[kind]), "a GPU's efficiencies lie in (0, 1]");
    if (pass.cache && pass.cache->share[kind]) require(is_share(*pass.cache->share[kind]), "a GPU's efficiencies lie in (0, 1]");
    if (pass.row[kind]) require(*pass.row[kind] > BytesPerSecond(0), "a block streams its row at some rate");
  }
}

void check(const GpuSpec& gpu) {
  require(gpu.streaming_multiprocessors >= 1, "a GPU needs a streaming multiprocessor");
  require(gpu.memory_bandwidth > BytesPerSecond(0), "a GPU needs memory bandwidth");
  require(gpu.launch >= Seconds(0) && gpu.gemm.setup >= Seconds(0) && gpu.gemm.burst >= Seconds(0), "a GPU's times cannot be negative");
  require(gpu.contention >= 0.0 && gpu.contention <= 0.5, "a GPU's contention lies in 0 ... 0.5");
  require(gpu.gemm.throttle >= 0.0 && gpu.gemm.prologue_k >= 0 && gpu.gemm.split_k >= 0, "a GPU's GEMM overheads cannot be negative");
  require(gpu.attention.tile_rows >= 1 && gpu.attention.prologue_keys >= 0 && gpu.attention.softmax_depth >= 0,
          "a GPU's attention overheads cannot be negative");
  require(gpu.interference.sms >= 0.0 && gpu.interference.sms <= 1.0 && gpu.interference.memory >= 0.0, "a kernel loses no more SMs than are held");
  require(gpu.slowdown >= 1.0, "a slow GPU takes longer, not less");
  check_tiles(gpu.gemm.tiles);
  if (gpu.gemm.grouped) {
    check_tiles(gpu.gemm.grouped->tiles);
    require(is_share(gpu.gemm.grouped->memory), "a GPU's efficiencies lie in (0, 1]");
    require(gpu.gemm.grouped->tile_load > BytesPerSecond(0), "an SM needs a rate at which it takes in the operands of a tile");
  }
  for (const double share : {gpu.gemm.sustained, sustained(gpu.gemm, Precision::fp8), gpu.gemm.memory, gpu.attention.sustained, gpu.attention.memory}) {
    require(is_share(share), "a GPU's efficiencies lie in (0, 1]");
  }
  check_passes(gpu.pass);
}

}  // namespace

GpuCostModel::GpuCostModel(GpuSpec gpu, Duty duty) : gpu_(std::move(gpu)), duty_(duty) { check(gpu_); }

Seconds GpuCostModel::time(const Kernel& kernel, const GpuLoad& load) const {
  if (std::visit(IsEmpty{}, kernel)) return Seconds(0);
  const Chip chip = what_is_left(gpu_, load);
  return (gpu_.launch + std::visit(WorkTime{chip, duty_}, kernel)) * gpu_.slowdown;
}

Seconds GpuCostModel::floor(const Kernel& kernel) const {
  if (std::visit(IsEmpty{}, kernel)) return Seconds(0);
  const Seconds memory = memory_traffic(kernel) / gpu_.memory_bandwidth;
  const Flop work = flop(kernel);
  return work > Flop(0) ? std::max(work / peak_of(gpu_, precision_of(kernel)), memory) : memory;
}

}  // namespace fabricast::hw
