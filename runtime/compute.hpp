// The seam to what computes: one op of one rank on its memory. Knows no streams, no edges and no other rank.
#pragma once

#include "runtime/bound_op.hpp"

namespace fabricast::runtime {

class Compute {
 public:
  virtual ~Compute() = default;
  /// Reads op.reads, writes op.writes and returns when that is done. Ranks call at the same time, each from a thread of its own. Throws
  /// std::exception where the op cannot be run; the run then ends with the op's name before the message.
  virtual void run(const BoundOp& op) = 0;
};

}  // namespace fabricast::runtime
