#include "runtime/cuda/device_info.hpp"

#include <dlfcn.h>

#include <array>
#include <memory>

#include "runtime/cuda/cuda_api.hpp"

namespace fabricast::runtime::cuda {
namespace {

/// NVIDIA's management library, which comes with the driver: opened where it is, since without it all but two numbers are known. Functions
/// and values as its API reference gives them; 0 is success.
class Management {
 public:
  Management() : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    const auto start = find<int (*)()>("nvmlInit_v2");
    if (!start || start() != 0) library_ = nullptr;
  }

  [[nodiscard]] std::string driver() const {
    std::array<char, 96> version{};   // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE is 80
    const auto get = find<int (*)(char*, unsigned)>("nvmlSystemGetDriverVersion");
    return get && get(version.data(), version.size() - 1) == 0 ? std::string(version.data()) : std::string();
  }

  [[nodiscard]] double sm_clock_mhz(const char* bus_id) const {
    constexpr int of_sms = 1;         // NVML_CLOCK_SM
    const auto open = find<int (*)(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2");
    const auto get = find<int (*)(void*, int, unsigned*)>("nvmlDeviceGetClockInfo");
    void* device = nullptr;
    unsigned mhz = 0;
    return open && get && open(bus_id, &device) == 0 && get(device, of_sms, &mhz) == 0 ? mhz : 0;
  }

 private:
  template <class Function>
  [[nodiscard]] Function find(const char* name) const {
    return library_ ? reinterpret_cast<Function>(dlsym(library_, name)) : nullptr;
  }
  void* library_;
};

}  // namespace

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

Machine machine_with(std::int32_t device) {
  Machine machine = this_host();
  const CudaDevice gpu = describe_device(device);
  machine.device = gpu.name;
  machine.devices = device_count();
  machine.memory = gpu.memory;
  const Management management;
  std::array<char, 32> bus_id{};
  check(cudaDeviceGetPCIBusId(bus_id.data(), bus_id.size(), device));
  machine.driver = management.driver();
  machine.clock_mhz = management.sm_clock_mhz(bus_id.data());
  return machine;
}

}  // namespace fabricast::runtime::cuda
