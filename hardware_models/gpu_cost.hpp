// How long a kernel runs on a GPU: roofline with launch overhead, tile and wave quantisation, and measured efficiencies. Knows no
// schedule and no network.
#pragma once

#include <cstdint>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/kernels.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

/// A kernel timed alone starts on a cool chip and is throttled only beyond its burst. In a step that keeps the chip busy the power limit holds
/// throughout: a long GEMM cut into short ones must not run faster for it.
enum class Duty : std::uint8_t { alone, busy };

/// What communication kernels hold of a GPU while they run.
struct GpuLoad {
  std::int64_t streaming_multiprocessors = 0;
  BytesPerSecond memory_bandwidth{};     // drawn from device memory, reads and writes
  friend bool operator==(const GpuLoad&, const GpuLoad&) = default;
};

/// t = launch + join(arithmetic, memory), where join is the longer plus what contention adds; gpu_cost.cpp has the terms by kernel.
class GpuCostModel {
 public:
  /// Throws std::invalid_argument if the specification has no SM, no tile or a share outside (0, 1].
  explicit GpuCostModel(GpuSpec gpu, Duty duty = Duty::busy);

  /// Wall time of the kernel in a busy stream, launch included. Work of zero rows launches nothing and costs nothing. Never falls when
  /// rows are added (a grouped GEMM's tuned_rows being the same). Throws ConfigError where the chip has no unit for the kernel's precision.
  [[nodiscard]] Seconds time(const Kernel& kernel) const { return time(kernel, GpuLoad{}); }

  /// The same while others hold `load` throughout: tiles run on the SMs that are left (one at the least), traffic on the bandwidth that is
  /// left (half at the least). Never falls when the load rises. The clock is taken to stay what it is.
  [[nodiscard]] Seconds time(const Kernel& kernel, const GpuLoad& load) const;

  /// The roofline: max(flop / dense peak, traffic / specified bandwidth), each operand read from device memory once. time() is never less:
  /// what passes over memory find in the L2 cache comes at the memory's specified bandwidth at the most, though caches are faster.
  [[nodiscard]] Seconds floor(const Kernel& kernel) const;

  [[nodiscard]] const GpuSpec& gpu() const { return gpu_; }

 private:
  GpuSpec gpu_;
  Duty duty_;
};

}  // namespace fabricast::hw
