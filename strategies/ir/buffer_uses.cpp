#include "strategies/ir/buffer_uses.hpp"

#include <algorithm>
#include <limits>

namespace fabricast::ir {

BufferUses::BufferUses(const Program& program)
    : streams_(program.streams.size()),
      ranges_(program.buffers.size()),
      last_use_(program.buffers.size() * streams_, -1),
      ended_before_(program.buffers.size() * streams_, std::numeric_limits<std::int32_t>::max()) {
  const HappensBefore order(program);
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const OpIndex op{static_cast<std::int32_t>(i)};
    for (const BufferSlice& slice : program.ops[i].reads) add(order, op, slice.buffer);
    for (const BufferSlice& slice : program.ops[i].writes) add(order, op, slice.buffer);
  }
  find_ended_from(order, program.ops.size());
}

void BufferUses::find_ended_from(const HappensBefore& order, std::size_t ops) {
  ended_from_.resize(ops * streams_);
  std::vector<std::int32_t> least(streams_, std::numeric_limits<std::int32_t>::max());
  for (std::size_t i = ops; i-- > 0;) {
    const auto ended = order.ended_before(OpIndex{static_cast<std::int32_t>(i)});
    for (std::size_t s = 0; s < streams_; ++s) ended_from_[i * streams_ + s] = least[s] = std::min(least[s], ended[s]);
  }
}

void BufferUses::add(const HappensBefore& order, OpIndex op, BufferId buffer) {
  auto& range = ranges_[buffer.index()];
  range = Range{range ? range->first : op, op};
  last_use_[buffer.index() * streams_ + order.stream_of(op).index()] = op.value;
  const auto ended = order.ended_before(op);
  for (std::size_t s = 0; s < streams_; ++s) {
    std::int32_t& least = ended_before_[buffer.index() * streams_ + s];
    least = std::min(least, ended[s]);
  }
}

}  // namespace fabricast::ir
