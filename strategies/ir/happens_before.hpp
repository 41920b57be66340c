// Which ops of a program are sure to have ended before others start, by streams and edges alone. Knows no time, no buffers, no other rank.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

/// Vector clocks: for every op and stream, the last op of that stream that ends before the op starts. Ops of a stream end in order, so
/// all earlier ones of the stream have ended, too. Edges must point backwards and ids be in range. Time and memory: ops · streams.
class HappensBefore {
 public:
  explicit HappensBefore(const Program& program);

  /// Does `earlier` end before `later` starts, whatever the speeds? An op does not happen before itself.
  [[nodiscard]] bool ordered(OpIndex earlier, OpIndex later) const {
    return ended_before(later)[stream_of_[earlier.index()].index()] >= earlier.value;
  }

  /// By stream: the last op that ends before `op` starts; -1 where there is none.
  [[nodiscard]] std::span<const std::int32_t> ended_before(OpIndex op) const {
    return std::span(clocks_).subspan(op.index() * streams_, streams_);
  }

  [[nodiscard]] std::size_t streams() const { return streams_; }
  [[nodiscard]] StreamId stream_of(OpIndex op) const { return stream_of_[op.index()]; }

 private:
  std::size_t streams_;
  std::vector<StreamId> stream_of_;       // by op
  std::vector<std::int32_t> clocks_;      // [op][stream]
};

}  // namespace fabricast::ir
