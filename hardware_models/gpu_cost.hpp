// How long a kernel runs on a GPU: roofline with launch overhead, tile and wave quantisation, and measured efficiencies. Knows no
// schedule and no network.
#pragma once

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/kernels.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::hw {

class GpuCostModel {
 public:
  explicit GpuCostModel(GpuSpec gpu);

  /// Wall time of the kernel in a busy stream, launch included. Work of zero rows launches nothing and costs nothing.
  [[nodiscard]] Seconds time(const Kernel& kernel) const;

  /// The roofline: max(flop / dense peak, traffic / specified bandwidth). time() is never less.
  [[nodiscard]] Seconds floor(const Kernel& kernel) const;

  [[nodiscard]] const GpuSpec& gpu() const { return gpu_; }

 private:
  GpuSpec gpu_;
};

}  // namespace fabricast::hw
