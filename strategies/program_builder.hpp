// Grows one program op by op: interns labels, allocates buffers and derives the edges between streams from what ops read and write, so
// that no strategy states a dependency twice. Knows no strategy.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::strategy {

/// The labels of a schedule, each stored once.
class LabelTable {
 public:
  [[nodiscard]] ir::LabelId intern(std::string_view text);
  [[nodiscard]] std::vector<std::string> take() { return std::move(labels_); }

 private:
  std::vector<std::string> labels_;
  std::map<std::string, ir::LabelId, std::less<>> id_of_;
};

class ProgramBuilder {
 public:
  ProgramBuilder(std::string name, std::vector<std::string> streams, LabelTable& labels);

  ir::BufferId buffer(std::string_view label, ir::BufferKind kind, ir::Extent rows, std::int64_t row_bytes,
                      std::optional<ir::ParameterShard> shard = std::nullopt);

  /// Later ops carry this place: "layer 3, micro-batch 0" and the same for programs.
  void set_place(std::string_view scope, ir::RoutingStep step) {
    scope_ = labels_.intern(scope);
    step_ = step;
  }
  void set_chunk(std::int32_t chunk) { step_.chunk = chunk; }

  /// Appends an op. It runs after every earlier op whose accesses overlap its own, one of the two being a write; edges that streams or
  /// other edges already imply are left out.
  ir::OpIndex add(ir::StreamId stream, std::string_view label, ir::Work work, std::vector<ir::BufferSlice> reads,
                  std::vector<ir::BufferSlice> writes);

  [[nodiscard]] ir::Program finish() { return std::move(program_); }

 private:
  struct Access { ir::OpIndex op; ir::BufferSlice slice; bool writes; };

  void depend_on_overlapping(ir::OpIndex op, const ir::BufferSlice& slice, bool writes, std::vector<ir::OpIndex>& before) const;
  void record(ir::OpIndex op, const ir::BufferSlice& slice, bool writes);
  void add_edges(ir::OpIndex op, std::vector<ir::OpIndex> before);

  LabelTable& labels_;
  ir::LabelId scope_;
  ir::RoutingStep step_;
  ir::Program program_;
  std::vector<std::vector<Access>> accesses_;              // by buffer
  std::vector<std::vector<std::int32_t>> last_seen_;       // [op][stream]: newest op of the stream known to end before this op ends
  std::vector<std::int32_t> stream_tail_;                  // newest op of each stream, -1 before the first
};

/// All rows of a buffer.
[[nodiscard]] inline ir::BufferSlice whole(ir::BufferId buffer) { return {buffer, ir::Extent::constant(0), std::nullopt}; }
/// Rows [first, first + rows).
[[nodiscard]] inline ir::BufferSlice rows_of(ir::BufferId buffer, std::int64_t first, std::int64_t rows) {
  return {buffer, ir::Extent::constant(first), ir::Extent::constant(rows)};
}

}  // namespace fabricast::strategy
