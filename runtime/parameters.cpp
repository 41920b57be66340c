#include "runtime/parameters.hpp"

#include <cassert>
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
std::vector<std::int64_t> columns_held(const ir::ParameterShard& shard, std::int64_t member, std::int64_t members) {
  std::vector<std::int64_t> columns;
  std::int64_t block_first = 0;
  for (std::size_t b = 0; b < shard.column_blocks.size(); ++b) {
    const std::int64_t width = shard.column_blocks[b];
    const std::int64_t sharers = shard.sharers.empty() ? 1 : shard.sharers[b];
    const bool split = shard.split == Split::columns;
    const std::int64_t share = split ? width * sharers / members : width;
    const std::int64_t first = block_first + (split ? member / sharers * share : 0);
    for (std::int64_t c = 0; c < share; ++c) columns.push_back(first + c);
    block_first += width;
  }
  return columns;
}

/// One parameter buffer of one rank.
class Filler {
 public:
  Filler(const ir::Schedule& schedule, Rank rank, const ir::BufferSpec& spec, std::uint64_t seed)
      : shard_(*spec.shard), seed_(seed), kind_(spec.kind), rows_(spec.rows.scale) {
    member_ = schedule.member_of(rank, shard_.axis);
    members_ = static_cast<std::int64_t>(schedule.group_of(rank, shard_.axis).members.size());
    columns_ = columns_held(shard_, member_, members_);
    matrix_.label = schedule.label(spec.label);
    matrix_.layer = shard_.layer;
    matrix_.rows = shard_.split == Split::rows ? rows_ * members_ : rows_;
    matrix_.columns = std::accumulate(shard_.column_blocks.begin(), shard_.column_blocks.end(), std::int64_t{0});
  }

  [[nodiscard]] std::size_t columns() const { return columns_.size(); }

  /// Appends the shard of one expert's matrix, or of the one matrix.
  template <class Element>
  Element* write(std::int32_t expert, Element* out) {
    matrix_.expert = expert;
    const std::int64_t first_row = shard_.split == Split::rows ? member_ * rows_ : 0;
    if (shard_.is_transposed_embedding) return write_transposed(out);
    const RandomWeights weights(seed_, matrix_, law());
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (const std::int64_t column : columns_) store(weights.at(first_row + row, column), *out++);
    }
    return out;
  }

 private:
  [[nodiscard]] WeightLaw law() const {
    if (kind_ == BufferKind::norm_weights) return WeightLaw::norm;
    const bool is_table = kind_ == BufferKind::embedding_weights && shard_.split == Split::rows;
    return is_table ? WeightLaw::table : WeightLaw::matrix;
  }

  template <class Element>
  Element* write_transposed(Element* out) const {
    const RandomWeights table(seed_, {embedding_table, 0, 0, matrix_.columns, matrix_.rows}, WeightLaw::table);
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (const std::int64_t column : columns_) store(table.at(column, row), *out++);
    }
    return out;
  }

  const ir::ParameterShard& shard_;
  std::uint64_t seed_;
  BufferKind kind_;
  std::int64_t rows_;                      // of one matrix on this rank
  std::int64_t member_ = 0, members_ = 1;
  std::vector<std::int64_t> columns_;
  WeightMatrix matrix_;                    // the full one
};

std::vector<std::int32_t> experts_held(const ir::Schedule& schedule, Rank rank, const ir::ParameterShard& shard) {
  if (!shard.per_expert) return {0};
  return schedule.routing.hosted(shard.layer, schedule.member_of(rank, ir::Axis::expert));
}

template <class Element>
void fill(const ir::Schedule& schedule, Rank rank, const ir::BufferSpec& spec, std::uint64_t seed, std::span<std::byte> place) {
  if (!spec.shard) throw std::logic_error("parameter " + schedule.label(spec.label) + " does not say which part of its matrix it is");
  Filler filler(schedule, rank, spec, seed);
  const auto experts = experts_held(schedule, rank, *spec.shard);
  const std::size_t elements = experts.size() * static_cast<std::size_t>(spec.rows.scale) * filler.columns();
  if (elements * sizeof(Element) != place.size()) throw std::logic_error("parameter " + schedule.label(spec.label) + " has the wrong size");
  auto* out = reinterpret_cast<Element*>(place.data());
  for (const std::int32_t expert : experts) out = filler.write(expert, out);
}

}  // namespace

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

void fill_inputs(const ir::Schedule& schedule, Rank rank, const ir::MemoryPlan& plan, std::uint64_t seed, std::span<std::byte> memory) {
  const auto degree = [&](ir::Axis axis) { return static_cast<std::int64_t>(schedule.group_of(rank, axis).members.size()); };
  const ir::Coordinates& at = schedule.ranks[rank.index()].at;
  const std::int64_t replica = at.data * degree(ir::Axis::context) + at.context;
  for (const ir::Op& op : schedule.program_of(rank).ops) {
    const auto* embedding = std::get_if<hw::Embedding<ir::Extent>>(&op.work);
    if (!embedding) continue;
    const std::int64_t vocabulary = embedding->vocabulary * degree(ir::Axis::tensor);
    auto* ids = reinterpret_cast<std::int32_t*>(memory.data() + plan.offsets[op.reads.at(0).buffer.index()].value());
    const std::int64_t tokens = ir::evaluate(embedding->tokens, schedule, rank);
    for (std::int64_t i = 0; i < tokens; ++i) ids[i] = random_token(seed, op.step.micro_batch, replica, i, vocabulary);
  }
}

}  // namespace fabricast::runtime
