// What the library exports: the devices, or why there are none.
#include <fmt/format.h>
#include <nccl.h>

#include "runtime/cuda/cuda_api.hpp"
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

}  // namespace
}  // namespace fabricast::runtime::cuda

extern "C" [[gnu::visibility("default")]] fabricast::runtime::CudaBackend* fabricast_cuda_backend(std::string* why) {
  *why = fabricast::runtime::cuda::why_not();
  return nullptr;
}
