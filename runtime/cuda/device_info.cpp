#include "runtime/cuda/device_info.hpp"

#include <memory>

#include "runtime/cuda/cuda_api.hpp"

namespace fabricast::runtime::cuda {
std::int32_t device_count() {
  int count = 0;
  check(cudaGetDeviceCount(&count));
  return count;
}

CudaDevice describe_device(std::int32_t device) {
  CudaDevice result;
  auto properties = std::make_unique<cudaDeviceProp>();
  check(cudaGetDeviceProperties(properties.get(), device));
  result.name = properties->name;
  result.cache = Bytes(properties->l2CacheSize);
  check(cudaSetDevice(device));
  std::size_t free = 0, all = 0;
  check(cudaMemGetInfo(&free, &all));
  result.memory = Bytes(static_cast<std::int64_t>(all));
  result.free = Bytes(static_cast<std::int64_t>(free));
  return result;
}

Machine machine_with(std::int32_t device, const GpuClock& clock) {
  Machine machine = this_host();
  const CudaDevice gpu = describe_device(device);
  machine.device = gpu.name;
  machine.devices = device_count();
  machine.memory = gpu.memory;
  machine.driver = clock.driver();
  machine.clock_mhz = clock.median_mhz();
  return machine;
}

}  // namespace fabricast::runtime::cuda
