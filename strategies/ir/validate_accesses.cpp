// Are the accesses to each buffer ordered, and is everything written before it is read?
//
// Rows are told apart where slices say constants: chunks that write disjoint constant rows from different streams need no order. A slice
// whose first row depends on the routing plan counts as the whole buffer, one whose length does as reaching to the buffer's end; chunks of
// such sizes need a buffer each. Two accesses to common rows, one of them a write, must be ordered by streams and edges. A read must lie
// within the union of the writes before it.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "strategies/ir/happens_before.hpp"
#include "strategies/ir/validate.hpp"
#include "strategies/ir/validate_parts.hpp"

namespace fabricast::ir {

namespace {

constexpr std::int64_t unbounded = std::numeric_limits<std::int64_t>::max();

/// Rows [first, last) that an access may touch.
struct Span {
  std::int64_t first, last;

  [[nodiscard]] bool empty() const { return first >= last; }
  [[nodiscard]] bool overlaps(Span other) const { return first < other.last && other.first < last; }
  [[nodiscard]] bool contains(Span other) const { return first <= other.first && other.last <= last; }
};

bool is_constant(const Extent& extent) { return extent.of == Extent::Of::constant; }

Span span_of(const BufferSlice& slice, const BufferSpec& buffer) {
  const std::int64_t end = is_constant(buffer.rows) ? buffer.rows.scale : unbounded;
  if (!is_constant(slice.first)) return {0, end};
  if (!slice.rows || !is_constant(*slice.rows)) return {slice.first.scale, end};
  return {slice.first.scale, slice.first.scale + slice.rows->scale};
}

struct Access {
  Span span;
  OpIndex op;
};

/// Accesses to one buffer that later ones must still be held against.
struct History {
  std::vector<Access> reads, writes;
};

/// Is the span within the union of the writes?
bool covered(Span wanted, const std::vector<Access>& writes) {
  std::vector<Span> parts;
  for (const Access& write : writes) {
    if (write.span.contains(wanted)) return true;
    if (write.span.overlaps(wanted)) parts.push_back(write.span);
  }
  std::sort(parts.begin(), parts.end(), [](Span a, Span b) { return a.first < b.first; });
  for (const Span part : parts) {
    if (part.first > wanted.first) return false;
    wanted.first = std::max(wanted.first, part.last);
  }
  return wanted.empty();
}

class AccessCheck {
 public:
  AccessCheck(const Schedule& schedule, Rank rank)
      : schedule_(schedule), program_(schedule.program_of(rank)), rank_(rank), order_(program_), history_(program_.buffers.size()) {}

  void run() {
    for (std::size_t i = 0; i < program_.ops.size(); ++i) {
      const OpIndex op{static_cast<std::int32_t>(i)};
      for (const BufferSlice& slice : program_.ops[i].reads) read(op, slice);
      for (const BufferSlice& slice : program_.ops[i].writes) write(op, slice);
    }
  }

 private:
  void read(OpIndex op, const BufferSlice& slice) {
    const BufferSpec& buffer = program_.buffers[slice.buffer.index()];
    if (is_parameter(buffer.kind) || buffer.kind == BufferKind::input) return;  // never written
    const Span span = span_of(slice, buffer);
    if (span.empty()) return;
    History& history = history_[slice.buffer.index()];
    check_ordered(op, slice, span, history.writes, "reads", "writes");
    if (!covered(span, history.writes)) fail(op, fmt::format("reads {} before they are written", rows_text(slice, span)));
    history.reads.push_back({span, op});
  }

  void write(OpIndex op, const BufferSlice& slice) {
    const Span span = span_of(slice, program_.buffers[slice.buffer.index()]);
    if (span.empty()) return;
    History& history = history_[slice.buffer.index()];
    check_ordered(op, slice, span, history.writes, "writes", "writes");
    check_ordered(op, slice, span, history.reads, "writes", "reads");
    // Whatever comes after this write comes after all that it overwrote.
    const auto overwritten = [&](const Access& earlier) { return span.contains(earlier.span); };
    std::erase_if(history.writes, overwritten);
    std::erase_if(history.reads, overwritten);
    history.writes.push_back({span, op});
  }

  void check_ordered(OpIndex op, const BufferSlice& slice, Span span, const std::vector<Access>& earlier, const char* does,
                     const char* did) const {
    for (const Access& access : earlier) {
      if (access.op == op || !access.span.overlaps(span) || order_.ordered(access.op, op)) continue;
      fail(op, fmt::format("{} {} that {} {}, and neither streams nor edges order the two; add op {} to its `after`", does,
                                  rows_text(slice, span), describe(schedule_, rank_, access.op), did, access.op.value));
    }
  }

  [[nodiscard]] std::string rows_text(const BufferSlice& slice, Span span) const {
    const auto& label = schedule_.label(program_.buffers[slice.buffer.index()].label);
    const std::string last = span.last == unbounded ? "end" : fmt::format("{}", span.last);
    return fmt::format("rows [{}, {}) of buffer {} ({})", span.first, last, slice.buffer.value, label);
  }

  [[noreturn]] void fail(OpIndex op, const std::string& message) const {
    throw ScheduleError(fmt::format("{}: {}", describe(schedule_, rank_, op), message));
  }

  const Schedule& schedule_;
  const Program& program_;
  Rank rank_;
  HappensBefore order_;
  std::vector<History> history_;  // by buffer
};

}  // namespace

void check_accesses(const Schedule& schedule, Rank rank) { AccessCheck(schedule, rank).run(); }

}  // namespace fabricast::ir
