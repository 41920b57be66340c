#include "validation/predict_kernel.hpp"

#include <algorithm>

#include "validation/kernel_facts.hpp"

namespace fabricast::validation {

namespace {

FlopPerSecond peak_for(const hw::Kernel& kernel, const hw::GpuSpec& gpu) { return gpu.peak[static_cast<std::size_t>(precision_of(kernel))]; }

}  // namespace

Seconds predicted(const KernelMeasurement& row, const hw::GpuCostModel& gpu) {
  Seconds time(0);
  if (row.beside) {
    Seconds slowed(0);
    for (const Term& term : row.terms) {
      time += gpu.time(term.kernel) * term.times;
      slowed += gpu.time(term.kernel, row.beside->load) * term.times;
    }
    return row.beside->alone * (slowed / time);
  }
  for (const Term& term : row.terms) time += gpu.time(term.kernel) * term.times;
  if (row.streamed > Bytes(0)) time += row.streamed / (gpu.gpu().memory_bandwidth * row.streamed_share);
  const auto& constants = gpu.gpu().calibration.constants;
  for (const SourceCost& cost : row.costs) {
    if (const auto found = constants.find(cost.name); found != constants.end()) time += found->second * cost.units;
  }
  return time;
}

Seconds arithmetic_floor(const KernelMeasurement& row, const hw::GpuSpec& gpu) {
  Seconds time(0);
  for (const Term& term : row.terms) {
    const FlopPerSecond peak = peak_for(term.kernel, gpu);
    if (peak > FlopPerSecond(0)) time += hw::flop(term.kernel) / peak * term.times;
  }
  return time;
}

bool can_run(const KernelMeasurement& row, const hw::GpuSpec& gpu) {
  return std::all_of(row.terms.begin(), row.terms.end(), [&](const Term& term) {
    return hw::flop(term.kernel) <= Flop(0) || peak_for(term.kernel, gpu) > FlopPerSecond(0);
  });
}

}  // namespace fabricast::validation
