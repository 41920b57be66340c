// What the library exports: the backend, or why there is none.
#include <fmt/format.h>

#include "runtime/cuda/device_bench.hpp"
#include "runtime/cuda/device_info.hpp"
#include "runtime/cuda/device_run.hpp"
#include "runtime/cuda_plugin.hpp"

namespace fabricast::runtime::cuda {
namespace {

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

/// Empty where there is a GPU to run on.
std::string why_not() {
  int driver = 0, devices = 0;
  (void)cudaDriverGetVersion(&driver);
  if (driver == 0) return "no CUDA driver: libcuda.so.1 is not there or does not load; install NVIDIA's driver, or use --backend host";
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status == cudaErrorInsufficientDriver) {
    return fmt::format("the CUDA driver is too old: it supports CUDA {}, this program was built with {}", version_text(driver),
                       version_text(CUDART_VERSION));
  }
  if (status == cudaErrorNoDevice || (status == cudaSuccess && devices == 0)) {
    return "no GPU: the CUDA driver finds none (is CUDA_VISIBLE_DEVICES empty, or no GPU given to this job?)";
  }
  if (status != cudaSuccess) return fmt::format("the CUDA driver does not start: {}", cudaGetErrorString(status));
  return {};
}

class DeviceExecutor final : public Executor {
 public:
  explicit DeviceExecutor(const CudaOptions& options) : options_(options) {}

  [[nodiscard]] MeasuredRun run(const ir::Schedule& schedule, const RunOptions& run) override {
    try {
      return DeviceRun(schedule, run, options_).run();
    } catch (const CudaError& error) {   // outside of any op
      throw ExecutionError(fmt::format("rank {}: {}", options_.rank.value, error.what()));
    }
  }

 private:
  CudaOptions options_;
};

void require_device(std::int32_t device) {
  const std::int32_t count = device_count();
  if (device < 0 || device >= count) throw BackendUnavailable(fmt::format("no GPU {}: this process sees {} (counted from 0)", device, count));
}

class Backend final : public CudaBackend {
 public:
  [[nodiscard]] std::int32_t device_count() override { return cuda::device_count(); }
  [[nodiscard]] std::string nccl_version() override { return nccl_version_text(); }

  [[nodiscard]] std::unique_ptr<Executor> executor(const CudaOptions& options) override {
    require_device(options.device);
    if (options.traffic && options.mode != CudaMode::slice) throw std::invalid_argument("traffic stands in for the communication of a slice only");
    if (options.traffic && (options.traffic->ctas < 1 || !(options.traffic->rate.value() > 0))) {
      throw std::invalid_argument("traffic has at least one CTA and a rate above 0");
    }
    if (options.expert_streams < 1) throw std::invalid_argument("experts need a stream");
    return std::make_unique<DeviceExecutor>(options);
  }

  [[nodiscard]] BenchResults microbench(const BenchPlan& plan, const CudaBenchOptions& options) override {
    require_device(options.device);
    try {
      return run_on_device(plan, options);
    } catch (const CudaError& error) {   // outside of any kernel
      throw ExecutionError(fmt::format("GPU {}: {}", options.device, error.what()));
    }
  }
};

}  // namespace
}  // namespace fabricast::runtime::cuda

extern "C" [[gnu::visibility("default")]] fabricast::runtime::CudaBackend* fabricast_cuda_backend(std::string* why) {
  *why = fabricast::runtime::cuda::why_not();
  return why->empty() ? new fabricast::runtime::cuda::Backend : nullptr;
}
