// When the buffers of a program are in use, by streams and edges and in program order. Knows no sizes and no addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "strategies/ir/happens_before.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

/// Parameters and inputs, which live through the program.
[[nodiscard]] constexpr bool is_pinned(BufferKind kind) { return is_parameter(kind) || kind == BufferKind::input; }

class BufferUses {
 public:
  explicit BufferUses(const Program& program);

  /// First and last op that touch the buffer, in program order; nothing if none does.
  struct Range { OpIndex first, last; };
  [[nodiscard]] std::optional<Range> range(BufferId buffer) const { return ranges_[buffer.index()]; }

  /// May one's memory serve the other: does every use of one end before any use of the other starts? Both must be in use somewhere.
  [[nodiscard]] bool never_together(BufferId a, BufferId b) const {
    return uses_ended(a, &ended_before_[b.index() * streams_]) || uses_ended(b, &ended_before_[a.index() * streams_]);
  }

  /// Does every use of the buffer end before `op`, and before any op after it in program order, starts?
  [[nodiscard]] bool over_before(BufferId buffer, OpIndex op) const { return uses_ended(buffer, &ended_from_[op.index() * streams_]); }

 private:
  [[nodiscard]] bool uses_ended(BufferId buffer, const std::int32_t* ended) const {
    const std::int32_t* const last = &last_use_[buffer.index() * streams_];
    for (std::size_t s = 0; s < streams_; ++s) {
      if (last[s] > ended[s]) return false;
    }
    return true;
  }
  void add(const HappensBefore& order, OpIndex op, BufferId buffer);
  void find_ended_from(const HappensBefore& order, std::size_t ops);

  std::size_t streams_;
  std::vector<std::optional<Range>> ranges_;   // by buffer
  std::vector<std::int32_t> last_use_;         // [buffer][stream]: its last use on the stream; -1: none
  std::vector<std::int32_t> ended_before_;     // [buffer][stream]: the last op of the stream that ends before every use starts
  std::vector<std::int32_t> ended_from_;       // [op][stream]: the last op of the stream that ends before this op and all later ones start
};

}  // namespace fabricast::ir
