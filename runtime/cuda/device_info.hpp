// What a GPU is and how it runs right now. Knows no schedule.
#pragma once

#include <cstdint>
#include <string>

#include "hardware_models/units.hpp"
#include "runtime/cuda/gpu_clock.hpp"
#include "runtime/machine.hpp"

namespace fabricast::runtime::cuda {

struct CudaDevice {
  std::string name;                        // "NVIDIA H100 80GB HBM3"
  Bytes memory, free;
  Bytes cache;                             // of the second level, which all SMs share
};

/// Opens none of them.
[[nodiscard]] std::int32_t device_count();
/// Opens it: it becomes the thread's current one. Throws CudaError.
[[nodiscard]] CudaDevice describe_device(std::int32_t device);
/// The host, with the GPU as its device.
[[nodiscard]] Machine machine_with(std::int32_t device, const GpuClock& clock);

}  // namespace fabricast::runtime::cuda
