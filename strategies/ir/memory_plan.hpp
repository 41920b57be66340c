// Where each buffer of a rank lies and how much memory that takes. The simulator reports it; the runtime allocates by it.
#pragma once

#include <map>
#include <vector>

#include "hardware_models/units.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

struct MemoryPlan {
  std::vector<Bytes> offsets;            // by BufferId
  std::vector<Bytes> sizes;              // by BufferId, as asked for (without alignment)
  Bytes peak;                            // bytes to allocate
  std::map<BufferKind, Bytes> at_peak;   // by kind, of the buffers alive when most bytes are; sums to live_peak
  Bytes live_peak;                       // most bytes alive at once; peak - live_peak is fragmentation
};

/// Lifetimes in program order. Memory is reused only by an op that happens after every use of the buffer it replaces (streams and edges,
/// not just program order). Parameters and inputs are never reused. Offsets are multiples of 256.
[[nodiscard]] MemoryPlan plan_memory(const Schedule& schedule, Rank rank);

}  // namespace fabricast::ir
