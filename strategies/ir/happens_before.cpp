#include "strategies/ir/happens_before.hpp"

#include <algorithm>

namespace fabricast::ir {

HappensBefore::HappensBefore(const Program& program) : streams_(program.streams.size()), clocks_(program.ops.size() * streams_, -1) {
  std::vector<std::int32_t> tail(streams_, -1);  // newest op of each stream so far
  stream_of_.reserve(program.ops.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const Op& op = program.ops[i];
    const auto clock = std::span(clocks_).subspan(i * streams_, streams_);
    const auto absorb = [&](OpIndex before) {
      const auto theirs = ended_before(before);
      for (std::size_t s = 0; s < streams_; ++s) clock[s] = std::max(clock[s], theirs[s]);
      const std::size_t stream = stream_of_[before.index()].index();
      clock[stream] = std::max(clock[stream], before.value);
    };
    std::int32_t& newest = tail[op.stream.index()];
    if (newest >= 0) absorb(OpIndex{newest});
    for (const OpIndex before : op.after) absorb(before);
    newest = static_cast<std::int32_t>(i);
    stream_of_.push_back(op.stream);
  }
}

}  // namespace fabricast::ir
