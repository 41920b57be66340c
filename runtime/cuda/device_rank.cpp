#include "runtime/cuda/device_rank.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/cuda/kernels.hpp"
#include "runtime/host_elementwise.hpp"
#include "runtime/parameters.hpp"
#include "runtime/upload_plan.hpp"
#include "strategies/ir/buffer_uses.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr int not_a_number = 0xff;   // of every byte, in fp32 and in bf16

Bytes scores_of(const ir::Schedule& schedule, Rank rank) {
  Bytes most;
  for (const ir::Op& op : schedule.program_of(rank).ops) {
    const auto* router = std::get_if<hw::Router<ir::Extent>>(&op.work);
    if (router) most = std::max(most, Bytes(ir::evaluate(router->rows, schedule, rank) * router->experts * std::int64_t{sizeof(float)}));
  }
  return most;
}

ComputeSpace::Sizes space_sizes(const ir::Schedule& schedule, Rank rank, const DeviceRankOptions& options, bool several_experts) {
  return {options.precision, several_experts ? static_cast<std::size_t>(options.expert_streams) : 0, options.workspace, scores_of(schedule, rank)};
}

bool has_several_experts(const std::vector<BoundOp>& ops) {
  return std::any_of(ops.begin(), ops.end(), [](const BoundOp& op) { return op.expert_rows.size() > 1; });
}

WeightRuns runs_of(const ParameterSlice& slice) {
  WeightRuns runs{};
  if (slice.columns.size() > WeightRuns::most) throw std::logic_error("a parameter of more blocks of columns than the device takes");
  for (const ColumnRun& run : slice.columns) {
    runs.first[runs.runs] = run.first;
    runs.count[runs.runs++] = run.count;
  }
  return runs;
}

}  // namespace

DeviceRank::DeviceRank(const ir::Schedule& schedule, Rank rank, const ir::Instances& instances, ir::MemoryPlan plan,
                       const DeviceRankOptions& options)
    : schedule_(schedule),
      rank_(rank),
      options_(options),
      plan_(std::move(plan)),
      arena_(plan_.peak),
      ops_(runtime::bind(schedule, rank, instances, plan_, arena_.span())) {
  const std::size_t count = std::max<std::size_t>(schedule.program_of(rank).streams.size(), 1);
  for (std::size_t s = 0; s < count; ++s) {
    const bool computes = ir::StreamId{static_cast<std::int32_t>(s)} == ir::compute_stream;
    streams_.push_back(make_stream(computes ? Priority::low : Priority::high));
  }
  space_.emplace(streams_[ir::compute_stream.index()].get(), space_sizes(schedule, rank, options_, has_several_experts(ops_)));
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    reached_.push_back(make_event());
    done_.push_back(make_event());
  }
  upload_tables();
}

void DeviceRank::upload_tables() {
  UploadPlan uploads;
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> known;   // turns, by positions and head size
  for (const BoundOp& op : ops_) {
    table_at_.push_back(uploads.add(std::span<const std::int32_t>(op.table)));
    turns_at_.push_back(0);
    const auto* rope = std::get_if<hw::Rope<ir::Extent>>(&op.op->work);
    if (!rope) continue;
    const std::int64_t positions = std::min(rope->sequence_length, op.writes.at(0).rows);
    const auto [place, is_new] = known.emplace(std::pair(positions, rope->head_dim), 0);
    if (is_new) place->second = uploads.add(std::span<const Turn>(rotary_turns(positions, rope->head_dim)));
    turns_at_.back() = place->second;
  }
  tables_ = DeviceMemory(Bytes(static_cast<std::int64_t>(uploads.bytes().size())));
  upload(uploads.bytes(), tables_.data());
}

void DeviceRank::fill_random() {
  const std::int64_t width = is_bf16() ? 2 : 4;
  launch_fill_random(options_.seed, {arena_.data(), 1, plan_.peak.value() / width, is_bf16()}, stream(ir::compute_stream));
}

void DeviceRank::fill_memory(bool with_random_numbers) {
  if (with_random_numbers) {
    fill_random();
  } else {
    launch_fill_bytes(arena_.data(), not_a_number, arena_.span().size(), stream(ir::compute_stream));
  }
  const ir::Program& program = schedule_.program_of(rank_);
  const std::int64_t element = is_bf16() ? 2 : 4;
  for (std::size_t b = 0; b < program.buffers.size(); ++b) {
    if (!ir::is_parameter(program.buffers[b].kind)) continue;
    const ParameterSlice slice = slice_of(schedule_, rank_, program.buffers[b], options_.seed);
    const std::int64_t bytes = slice.rows * slice.width() * element;
    if (bytes * static_cast<std::int64_t>(slice.matrices.size()) != plan_.sizes[b].value()) {
      throw std::logic_error("parameter " + schedule_.label(program.buffers[b].label) + " has the wrong size");
    }
    std::byte* place = arena_.data() + plan_.offsets[b].value();
    for (const RandomWeights& matrix : slice.matrices) {
      launch_fill_weights(matrix, runs_of(slice), slice.first_row, slice.is_transposed, {place, slice.rows, slice.width(), is_bf16()},
                          stream(ir::compute_stream));
      place += bytes;
    }
  }
  check(cudaStreamSynchronize(stream(ir::compute_stream)));
  // Token ids are few: made on the host as everywhere.
  for (const BoundOp& op : ops_) {
    if (!std::holds_alternative<hw::Embedding<ir::Extent>>(op.op->work)) continue;
    const std::vector<std::int32_t> ids = token_ids(schedule_, rank_, *op.op, options_.seed);
    upload(std::as_bytes(std::span(ids)), op.reads.at(0).data);
  }
}

OpTables DeviceRank::tables(ir::OpIndex op) const {
  return {reinterpret_cast<const std::int32_t*>(tables_.data() + table_at_[op.index()]),
          reinterpret_cast<const float*>(tables_.data() + turns_at_[op.index()])};
}

Bytes DeviceRank::beside_arena(const ir::Schedule& schedule, Rank rank, const DeviceRankOptions& options) {
  return ComputeSpace::memory_of(space_sizes(schedule, rank, options, true));
}

}  // namespace fabricast::runtime::cuda
