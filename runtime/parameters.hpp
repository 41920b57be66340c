// Fills a rank's parameters and inputs before the first step, from the seed. Knows no model: the schedule says which part of which full
// matrix a buffer holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <vector>

#include "hardware_models/kernels.hpp"
#include "runtime/random_values.hpp"
#include "strategies/ir/memory_plan.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::runtime {

/// Neighbouring columns of a full matrix.
struct ColumnRun {
  std::int64_t first, count;
};

/// What a parameter buffer of a rank holds: for each matrix `rows` rows of the given columns, in this order, one matrix below the other.
struct ParameterSlice {
  std::vector<RandomWeights> matrices;    // one for each expert held, or one
  std::int64_t first_row = 0, rows = 0;   // of the full matrix
  std::vector<ColumnRun> columns;
  bool is_transposed = false;             // the element at (row, column) is the full matrix's at (column, row)

  [[nodiscard]] std::int64_t width() const;
};

[[nodiscard]] ParameterSlice slice_of(const ir::Schedule& schedule, Rank rank, const ir::BufferSpec& parameter, std::uint64_t seed);

void fill_parameters(const ir::Schedule& schedule, Rank rank, const ir::MemoryPlan& plan, hw::Precision precision, std::uint64_t seed,
                     std::span<std::byte> memory);

/// What an embedding op of the rank looks up: the token ids of its micro-batch.
[[nodiscard]] std::vector<std::int32_t> token_ids(const ir::Schedule& schedule, Rank rank, const ir::Op& embedding, std::uint64_t seed);

/// Token ids of every micro-batch.
void fill_inputs(const ir::Schedule& schedule, Rank rank, const ir::MemoryPlan& plan, std::uint64_t seed, std::span<std::byte> memory);

}  // namespace fabricast::runtime
