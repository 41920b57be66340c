// What a GPU is and how it runs right now. Knows no schedule.
#pragma once

#include <cstdint>

#include "runtime/cuda_plugin.hpp"
#include "runtime/machine.hpp"

namespace fabricast::runtime::cuda {

[[nodiscard]] std::int32_t device_count();
/// Throws CudaError.
[[nodiscard]] CudaDevice describe_device(std::int32_t device);
/// The host, with the GPU as its device: its driver and the clock of its SMs now, where the driver's management library tells.
[[nodiscard]] Machine machine_with(std::int32_t device);

}  // namespace fabricast::runtime::cuda
