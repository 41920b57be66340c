#include "strategies/program_builder.hpp"

#include <algorithm>

namespace fabricast::strategy {
namespace {

/// Two views of one buffer share rows, unless both are constant and apart.
bool overlap(const ir::BufferSlice& a, const ir::BufferSlice& b) {
  const auto constant = [](const ir::BufferSlice& s) {
    return s.first.of == ir::Extent::Of::constant && s.rows && s.rows->of == ir::Extent::Of::constant;
  };
  if (!constant(a) || !constant(b)) return true;
  return a.first.scale < b.first.scale + b.rows->scale && b.first.scale < a.first.scale + a.rows->scale;
}

}  // namespace

ir::LabelId LabelTable::intern(std::string_view text) {
  if (const auto found = id_of_.find(text); found != id_of_.end()) return found->second;
  const ir::LabelId id{static_cast<std::int32_t>(labels_.size())};
  labels_.emplace_back(text);
  id_of_.emplace(text, id);
  return id;
}

ProgramBuilder::ProgramBuilder(std::string name, std::vector<std::string> streams, LabelTable& labels)
    : labels_(labels), scope_(labels.intern("")), stream_tail_(streams.size(), -1) {
  program_.name = std::move(name);
  program_.streams = std::move(streams);
}

ir::BufferId ProgramBuilder::buffer(std::string_view label, ir::BufferKind kind, ir::Extent rows, std::int64_t row_bytes,
                                    std::optional<ir::ParameterShard> shard) {
  program_.buffers.push_back({labels_.intern(label), kind, rows, row_bytes, std::move(shard)});
  accesses_.emplace_back();
  return ir::BufferId{static_cast<std::int32_t>(program_.buffers.size()) - 1};
}

void ProgramBuilder::depend_on_overlapping(ir::OpIndex op, const ir::BufferSlice& slice, bool writes,
                                           std::vector<ir::OpIndex>& before) const {
  for (const Access& earlier : accesses_[slice.buffer.index()]) {
    if (earlier.op == op || !(writes || earlier.writes)) continue;
    if (overlap(earlier.slice, slice)) before.push_back(earlier.op);
  }
}

void ProgramBuilder::record(ir::OpIndex op, const ir::BufferSlice& slice, bool writes) {
  // Parameters are written before the program starts: reading them orders nothing.
  if (ir::is_parameter(program_.buffers[slice.buffer.index()].kind)) return;
  accesses_[slice.buffer.index()].push_back({op, slice, writes});
}

void ProgramBuilder::add_edges(ir::OpIndex op, std::vector<ir::OpIndex> before) {
  const std::size_t stream = program_.ops[op.index()].stream.index();
  std::vector<std::int32_t> seen(stream_tail_.size(), -1);
  const auto absorb = [&](std::int32_t earlier) {
    const auto& theirs = last_seen_[static_cast<std::size_t>(earlier)];
    for (std::size_t s = 0; s < seen.size(); ++s) seen[s] = std::max(seen[s], theirs[s]);
  };
  if (stream_tail_[stream] >= 0) absorb(stream_tail_[stream]);
  // Newest first: what a newer op already waits for needs no edge of its own.
  std::sort(before.begin(), before.end(), std::greater<>());
  for (const ir::OpIndex earlier : before) {
    if (seen[program_.ops[earlier.index()].stream.index()] >= earlier.value) continue;
    program_.ops[op.index()].after.push_back(earlier);
    absorb(earlier.value);
  }
  std::reverse(program_.ops[op.index()].after.begin(), program_.ops[op.index()].after.end());
  seen[stream] = op.value;
  stream_tail_[stream] = op.value;
  last_seen_.push_back(std::move(seen));
}

ir::OpIndex ProgramBuilder::add(ir::StreamId stream, std::string_view label, ir::Work work, std::vector<ir::BufferSlice> reads,
                                std::vector<ir::BufferSlice> writes) {
  const ir::OpIndex op{static_cast<std::int32_t>(program_.ops.size())};
  std::vector<ir::OpIndex> before;
  for (const auto& slice : reads) depend_on_overlapping(op, slice, false, before);
  for (const auto& slice : writes) depend_on_overlapping(op, slice, true, before);
  for (const auto& slice : reads) record(op, slice, false);
  for (const auto& slice : writes) record(op, slice, true);
  program_.ops.push_back({stream, std::move(work), {}, std::move(reads), std::move(writes), labels_.intern(label), scope_, step_});
  add_edges(op, std::move(before));
  return op;
}

}  // namespace fabricast::strategy
