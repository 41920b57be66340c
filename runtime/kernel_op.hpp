// A single kernel as an op on memory of its own, filled with random numbers: what a micro-benchmark runs. Knows no schedule and no rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "hardware_models/kernels.hpp"
#include "runtime/arena.hpp"
#include "runtime/bound_op.hpp"

namespace fabricast::runtime {

class KernelOp {
 public:
  /// Routing tables are as good as random: rows are permuted, tokens choose in turn.
  KernelOp(const hw::Kernel& kernel, std::uint64_t seed);
  KernelOp(const KernelOp&) = delete;
  KernelOp& operator=(const KernelOp&) = delete;

  [[nodiscard]] const BoundOp& op() const { return bound_; }

  /// What it reads and writes, together. Without making one.
  [[nodiscard]] static Bytes memory_of(const hw::Kernel& kernel);

 private:
  ir::Op op_;
  std::vector<Arena> buffers_;
  BoundOp bound_;
};

}  // namespace fabricast::runtime
