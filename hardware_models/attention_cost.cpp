// Fused attention: tiles of queries on SMs, beside the reading of their keys.
#include <algorithm>

#include "hardware_models/kernel_cost.hpp"

namespace fabricast::hw {

namespace {

constexpr std::int64_t shared_rows = 16;        // queries of a block that share a key head: the rows of the tensor cores' mma instruction (PTX)
constexpr std::int64_t least_keys_of_block = 256;   // fitted: times at equal bytes part below it
constexpr std::int64_t least_query_rows = 64;  // of a tile: the rows of Hopper's matrix instruction (PTX wgmma), fewer are padded

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
Seconds tiles_time(const TileCost& cost, const QueryTiles& tiles, double parts, Seconds memory, const Chip& chip) {
  const Seconds beginnings = drained({Seconds(0), cost.prologue}, tiles, parts, chip);
  return beginnings + join(drained({cost.per_key, Seconds(0)}, tiles, parts, chip), memory, chip.gpu.contention);
}

/// launch + join(blocks · a block's time / SMs, reading + a block's least share + fill), where blocks that find their keys in the cache wait for
/// no fill, and single blocks of one key head read it again and again, from the cache.
Seconds decode_time(const Attention<std::int64_t>& work, const DecodeEfficiency& decode, const Chip& chip) {
  const std::int64_t group = divide_up(work.heads, work.kv_heads);
  const bool shared = group > 1 && group <= decode.most_shared;
  const std::int64_t blocks = work.sequences * (shared ? work.kv_heads * divide_up(group, shared_rows) : work.heads);
  const Seconds block = shared ? decode.shared_block : decode.single_block;
  const Seconds working = block * std::max(1.0, static_cast<double>(blocks) / static_cast<double>(chip.streaming_multiprocessors));
  const std::int64_t key_bytes = 2 * work.head_dim * element_bytes(work.precision);   // and its value
  const Bytes keys(work.sequences * work.kv_heads * work.kv_length * key_bytes);
  Seconds reading = stream(memory_traffic(work), chip, chip.gpu.attention.memory);
  if (!shared && group > 1) reading = std::max(reading, static_cast<double>(group) * (keys / decode.shared_reads));
  const double hits = chip.gpu.pass.cache ? hit_share(keys, chip.gpu.pass.cache->size) : 0.0;
  const Seconds least_share = Bytes(std::min(work.kv_length, least_keys_of_block) * key_bytes) / decode.block_rate;
  return join(working, reading + least_share + decode.fill * (1.0 - hits), chip.gpu.contention);
}

}  // namespace

/// Tiles that hold all queries of a key head may split their keys over idle SMs (decoding); longer queries fill the chip by themselves.
Seconds attention_time(const Attention<std::int64_t>& work, const Chip& chip) {
  const GpuSpec& gpu = chip.gpu;
  if (work.query_length == 1 && gpu.attention.decode) return decode_time(work, *gpu.attention.decode, chip);
  const QueryTiles tiles = query_tiles(work, gpu.attention.tile_rows);
  const TileCost cost = tile_cost(work, tiles.rows, gpu);
  const Seconds memory = stream(memory_traffic(work), chip, gpu.attention.memory);
  Seconds best = tiles_time(cost, tiles, 1.0, memory, chip);
  if (!tiles.single) return best;
  for (double parts = 2; tiles.most_keys / parts >= static_cast<double>(gpu.attention.tile_rows); parts *= 2) {
    best = std::min(best, tiles_time(cost, tiles, parts, memory, chip));
  }
  return best;
}

}  // namespace fabricast::hw
