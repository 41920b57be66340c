// What the model of a GPU says of a measured row: the kernels' times, alone on a cool chip, and what the source's times hold besides.
#pragma once

#include "hardware_models/gpu_cost.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

/// Σ times · kernel + streamed bytes + Σ units · the source's costs (0 where the profile has none of that name). Beside communication: what
/// was measured without, times the slowdown.
[[nodiscard]] Seconds predicted(const KernelMeasurement& row, const hw::GpuCostModel& gpu);

/// The least time that the kernels' arithmetic needs at peak. Memory is no floor here: a small operand may come from the cache.
[[nodiscard]] Seconds arithmetic_floor(const KernelMeasurement& row, const hw::GpuSpec& gpu);

/// False where the chip has no unit for the row's precision.
[[nodiscard]] bool can_run(const KernelMeasurement& row, const hw::GpuSpec& gpu);

}  // namespace fabricast::validation
