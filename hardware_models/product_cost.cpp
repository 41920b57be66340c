// Matrix products, single and of many experts: tiles, waves, the library's choice of both, and the reading of operands.
#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "hardware_models/kernel_cost.hpp"

namespace fabricast::hw {

namespace {

constexpr std::int64_t most_k_parts = 8;      // deepest split of k that libraries choose

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

}  // namespace

Seconds gemm_time(const Gemm<std::int64_t>& work, const Chip& chip, Duty duty) {
  const GpuSpec& gpu = chip.gpu;
  const std::array<std::int64_t, 1> rows{work.m};
  return gpu.gemm.setup + join(product_arithmetic({rows, work.n, work.k, work.precision}, true, chip, duty),
                               stream(memory_traffic(work), chip, gpu.gemm.memory), gpu.contention);
}

Seconds grouped_gemm_time(const GroupedGemm<ExpertRowCounts>& work, const Chip& chip, Duty duty) {
  const GpuSpec& gpu = chip.gpu;
  if (gpu.gemm.grouped) {
    const Seconds memory = stream(memory_traffic(work), chip, gpu.gemm.grouped->memory);
    return gpu.gemm.setup + grouped_time(work, chosen_tile(work, chip, duty), memory, chip, duty);
  }
  return gpu.gemm.setup + join(product_arithmetic(product_of(work), false, chip, duty), stream(memory_traffic(work), chip, gpu.gemm.memory),
                               gpu.contention);
}

}  // namespace fabricast::hw
