#include "runtime/cuda/gpu_clock.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <array>

#include "runtime/cuda/cuda_api.hpp"

namespace fabricast::runtime::cuda {

/// The library comes with the driver: opened where it is, since without it all but two numbers are known. Functions and values as its API
/// reference gives them; 0 is success.
GpuClock::GpuClock(std::int32_t device) : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
  std::array<char, 32> bus_id{};
  check(cudaDeviceGetPCIBusId(bus_id.data(), static_cast<int>(bus_id.size()), device));
  const auto start = find<int (*)()>("nvmlInit_v2");
  const auto open = find<int (*)(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2");
  if (!start || !open || start() != 0 || open(bus_id.data(), &device_) != 0) device_ = nullptr;
}

template <class Function>
Function GpuClock::find(const char* name) const {
  return library_ ? reinterpret_cast<Function>(dlsym(library_, name)) : nullptr;
}

double GpuClock::now_mhz() const {
  constexpr int of_sms = 1;            // NVML_CLOCK_SM
  const auto get = find<int (*)(void*, int, unsigned*)>("nvmlDeviceGetClockInfo");
  unsigned mhz = 0;
  return device_ && get && get(device_, of_sms, &mhz) == 0 ? mhz : 0;
}

void GpuClock::sample() {
  const double mhz = now_mhz();
  if (mhz > 0) samples_.push_back(mhz);
}

double GpuClock::median_mhz() const {
  if (samples_.empty()) return now_mhz();
  std::vector<double> sorted = samples_;
  std::sort(sorted.begin(), sorted.end());
  return sorted[(sorted.size() - 1) / 2];
}

std::string GpuClock::driver() const {
  std::array<char, 96> version{};      // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE is 80
  const auto get = find<int (*)(char*, unsigned)>("nvmlSystemGetDriverVersion");
  return device_ && get && get(version.data(), static_cast<unsigned>(version.size() - 1)) == 0 ? std::string(version.data()) : std::string();
}

}  // namespace fabricast::runtime::cuda
