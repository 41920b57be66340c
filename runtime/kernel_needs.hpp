// What a single kernel needs to run as an op: its work in the schedule's terms, buffers, tables. Knows no memory and no device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/kernels.hpp"
#include "runtime/bound_op.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/split_mix.hpp"

namespace fabricast::runtime {

struct BufferNeed {
  enum class Filling : std::uint8_t { numbers, ids, choices };   // elements; token ids below `columns`; RouterChoices, `columns` a row
  std::int64_t rows, columns;
  Filling filling = Filling::numbers;
};

struct KernelNeeds {
  ir::Work work;
  hw::Precision precision;
  std::vector<BufferNeed> reads, writes;
  bool in_place = false;                    // writes what it reads: `writes` is empty

  [[nodiscard]] std::int64_t row_bytes(const BufferNeed& need) const;
  [[nodiscard]] Bytes size_of(const BufferNeed& need) const { return Bytes(need.rows * row_bytes(need)); }
  /// Of all buffers.
  [[nodiscard]] Bytes memory() const;
};

[[nodiscard]] KernelNeeds needs_of(const hw::Kernel& kernel);

/// BoundOp::table, as good as random: rows are permuted, tokens choose in turn.
[[nodiscard]] std::vector<std::int32_t> bench_table(const hw::Kernel& kernel, ir::SplitMix64& random);

/// What a buffer that holds no numbers starts with. `place` has the buffer's size.
void fill_ids_or_choices(const BufferNeed& need, std::span<std::byte> place, ir::SplitMix64& random);

}  // namespace fabricast::runtime
