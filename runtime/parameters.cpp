#include "runtime/parameters.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "runtime/bf16.hpp"
#include "runtime/random_values.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::runtime {
namespace {

using ir::BufferKind;
using Split = ir::ParameterShard::Split;

constexpr std::string_view embedding_table = "embedding_weight";

/// Which of the full matrix's columns a rank holds, in the order in which it holds them.
std::vector<ColumnRun> columns_held(const ir::ParameterShard& shard, std::int64_t member, std::int64_t members) {
  std::vector<ColumnRun> runs;
  std::int64_t block_first = 0;
  for (std::size_t b = 0; b < shard.column_blocks.size(); ++b) {
    const std::int64_t width = shard.column_blocks[b];
    const std::int64_t sharers = shard.sharers.empty() ? 1 : shard.sharers[b];
    const bool split = shard.split == Split::columns;
    const std::int64_t share = split ? width * sharers / members : width;
    runs.push_back({block_first + (split ? member / sharers * share : 0), share});
    block_first += width;
  }
  return runs;
}

WeightLaw law_of(const ir::BufferSpec& parameter) {
  if (parameter.kind == BufferKind::norm_weights) return WeightLaw::norm;
  const bool is_table = parameter.kind == BufferKind::embedding_weights && parameter.shard->split == Split::rows;
  return is_table ? WeightLaw::table : WeightLaw::matrix;
}

std::vector<std::int32_t> experts_held(const ir::Schedule& schedule, Rank rank, const ir::ParameterShard& shard) {
  if (!shard.per_expert) return {0};
  return schedule.routing.hosted(shard.layer, schedule.member_of(rank, ir::Axis::expert));
}

template <class Element>
Element* write(const ParameterSlice& slice, const RandomWeights& matrix, Element* out) {
  for (std::int64_t row = slice.first_row; row < slice.first_row + slice.rows; ++row) {
    for (const ColumnRun& run : slice.columns) {
      for (std::int64_t column = run.first; column < run.first + run.count; ++column) {
        store(slice.is_transposed ? matrix.at(column, row) : matrix.at(row, column), *out++);
      }
    }
  }
  return out;
}

template <class Element>
void fill(const ir::Schedule& schedule, Rank rank, const ir::BufferSpec& spec, std::uint64_t seed, std::span<std::byte> place) {
  const ParameterSlice slice = slice_of(schedule, rank, spec, seed);
  const std::int64_t elements = static_cast<std::int64_t>(slice.matrices.size()) * slice.rows * slice.width();
  if (static_cast<std::size_t>(elements) * sizeof(Element) != place.size()) {
    throw std::logic_error("parameter " + schedule.label(spec.label) + " has the wrong size");
  }
  auto* out = reinterpret_cast<Element*>(place.data());
  for (const RandomWeights& matrix : slice.matrices) out = write(slice, matrix, out);
}

}  // namespace

std::int64_t ParameterSlice::width() const {
  return std::accumulate(columns.begin(), columns.end(), std::int64_t{0}, [](std::int64_t sum, const ColumnRun& r) { return sum + r.count; });
}

ParameterSlice slice_of(const ir::Schedule& schedule, Rank rank, const ir::BufferSpec& spec, std::uint64_t seed) {
  if (!spec.shard) throw std::logic_error("parameter " + schedule.label(spec.label) + " does not say which part of its matrix it is");
  const ir::ParameterShard& shard = *spec.shard;
  const std::int64_t member = schedule.member_of(rank, shard.axis);
  const auto members = static_cast<std::int64_t>(schedule.group_of(rank, shard.axis).members.size());
  ParameterSlice slice;
  slice.rows = spec.rows.scale;
  slice.first_row = shard.split == Split::rows ? member * slice.rows : 0;
  slice.columns = columns_held(shard, member, members);
  slice.is_transposed = shard.is_transposed_embedding;
  const std::int64_t all_rows = shard.split == Split::rows ? slice.rows * members : slice.rows;
  const std::int64_t all_columns = std::accumulate(shard.column_blocks.begin(), shard.column_blocks.end(), std::int64_t{0});
  if (slice.is_transposed) {
    slice.first_row = 0;
    slice.matrices.emplace_back(seed, WeightMatrix{embedding_table, 0, 0, all_columns, all_rows}, WeightLaw::table);
    return slice;
  }
  for (const std::int32_t expert : experts_held(schedule, rank, shard)) {
    slice.matrices.emplace_back(seed, WeightMatrix{schedule.label(spec.label), shard.layer, expert, all_rows, all_columns}, law_of(spec));
  }
  return slice;
}

void fill_parameters(const ir::Schedule& schedule, Rank rank, const ir::MemoryPlan& plan, hw::Precision precision, std::uint64_t seed,
                     std::span<std::byte> memory) {
  const ir::Program& program = schedule.program_of(rank);
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (!ir::is_parameter(program.buffers[b].kind)) continue;
    const auto place = memory.subspan(static_cast<std::size_t>(plan.offsets[b].value()), static_cast<std::size_t>(plan.sizes[b].value()));
    if (precision == hw::Precision::fp32) {
      fill<float>(schedule, rank, program.buffers[b], seed, place);
    } else {
      fill<Bf16>(schedule, rank, program.buffers[b], seed, place);
    }
  }
}

std::vector<std::int32_t> token_ids(const ir::Schedule& schedule, Rank rank, const ir::Op& embedding, std::uint64_t seed) {
  const auto& work = std::get<hw::Embedding<ir::Extent>>(embedding.work);
  const auto degree = [&](ir::Axis axis) { return static_cast<std::int64_t>(schedule.group_of(rank, axis).members.size()); };
  const ir::Coordinates& at = schedule.ranks[rank.index()].at;
  const std::int64_t replica = at.data * degree(ir::Axis::context) + at.context;
  const std::int64_t vocabulary = work.vocabulary * degree(ir::Axis::tensor);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(ir::evaluate(work.tokens, schedule, rank)));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = random_token(seed, embedding.step.micro_batch, replica, static_cast<std::int64_t>(i), vocabulary);
  }
  return ids;
}

void fill_inputs(const ir::Schedule& schedule, Rank rank, const ir::MemoryPlan& plan, std::uint64_t seed, std::span<std::byte> memory) {
  for (const ir::Op& op : schedule.program_of(rank).ops) {
    if (!std::holds_alternative<hw::Embedding<ir::Extent>>(op.work)) continue;
    const std::vector<std::int32_t> all = token_ids(schedule, rank, op, seed);
    const auto ids = std::as_bytes(std::span(all));
    const auto offset = static_cast<std::size_t>(plan.offsets[op.reads.at(0).buffer.index()].value());
    std::copy(ids.begin(), ids.end(), memory.begin() + static_cast<std::ptrdiff_t>(offset));
  }
}

}  // namespace fabricast::runtime
