// Micro-benchmarks of one GPU: single kernels as a step runs them, copies, an op that does next to nothing, kernels beside traffic. Knows no
// schedule and no other rank.
#pragma once

#include <memory>

#include "runtime/cuda/attention.hpp"
#include "runtime/cuda/device_info.hpp"
#include "runtime/cuda/device_kernel.hpp"
#include "runtime/cuda/gemm.hpp"
#include "runtime/cuda/sampler.hpp"
#include "runtime/cuda_plugin.hpp"

namespace fabricast::runtime::cuda {

class DeviceBench {
 public:
  /// Allocates on the device, which becomes the current one, and keeps it busy until its clocks have risen. Throws CudaError, and
  /// BackendUnavailable where its memory does not suffice for even that.
  explicit DeviceBench(const CudaBenchOptions& options);

  /// Of a matrix product also the fastest of 32 kernels that cublasLt proposes for it, alone, experts one after the other. Throws
  /// BackendUnavailable where the device lacks the memory, or a kernel of this precision or shape; CudaError.
  [[nodiscard]] BenchResults::KernelTime kernel(const hw::Kernel& kernel);
  /// Within the device's memory, by the runtime.
  [[nodiscard]] Spread copy(Bytes bytes);
  /// Of an op that does next to nothing, timed as all others are.
  [[nodiscard]] Spread launch();
  /// Alone, then beside a kernel that holds SMs and writes memory for longer than all samples take together.
  [[nodiscard]] BenchResults::Interference beside(const hw::Kernel& kernel, const Traffic& traffic);

  [[nodiscard]] std::string method() const { return sampler_.method(); }
  /// Whose attention was timed: Attentions::used.
  [[nodiscard]] std::string attention() const { return attentions_.used(); }
  [[nodiscard]] const GpuClock& clock() const { return clock_; }

 private:
  void require_memory(Bytes needed) const;
  [[nodiscard]] std::unique_ptr<DeviceKernel> ready(const hw::Kernel& kernel);

  const CudaBenchOptions& options_;
  CudaDevice device_;
  GpuClock clock_;
  Stream compute_, communication_;
  Sampler sampler_;
  Gemms gemms_, every_gemm_;                 // as a step has them; of as many candidates as there are
  Attentions attentions_;
};

/// The plan on one GPU, collectives apart, or collectives among the processes of a job: CudaBackend::microbench.
[[nodiscard]] BenchResults run_on_device(const BenchPlan& plan, const CudaBenchOptions& options);

}  // namespace fabricast::runtime::cuda
