// A single kernel as an op in device memory of its own, filled with random numbers: what a micro-benchmark runs. Knows no schedule and no rank.
#pragma once

#include <cstdint>

#include "runtime/bound_op.hpp"
#include "runtime/cuda/compute_space.hpp"

namespace fabricast::runtime::cuda {

class DeviceKernel {
 public:
  /// Allocates on the current device and waits until all is filled. Throws CudaError. Routing tables are as good as random (kernel_needs.hpp).
  DeviceKernel(const hw::Kernel& kernel, cudaStream_t stream, std::int32_t expert_streams, std::uint64_t seed);
  DeviceKernel(const DeviceKernel&) = delete;
  DeviceKernel& operator=(const DeviceKernel&) = delete;

  [[nodiscard]] const BoundOp& op() const { return bound_; }
  [[nodiscard]] OpTables tables() const;
  [[nodiscard]] const ComputeSpace& space() const { return space_; }

  /// Of the device, all that one takes. Without making one.
  [[nodiscard]] static Bytes memory_of(const hw::Kernel& kernel, std::int32_t expert_streams);

 private:
  ir::Op op_;
  BoundOp bound_;
  ComputeSpace space_;
  DeviceMemory buffers_, tables_;
  std::size_t turns_at_ = 0;            // in tables_
};

}  // namespace fabricast::runtime::cuda
