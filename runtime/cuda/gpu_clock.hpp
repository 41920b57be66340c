// The clock of a GPU's SMs while it works: power and heat lower it, and an idle GPU tells nothing. From the driver's management library. Knows
// no schedule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fabricast::runtime::cuda {

class GpuClock {
 public:
  /// As CUDA counts GPUs. Throws CudaError; where the library is absent all else answers "not known".
  explicit GpuClock(std::int32_t device);

  /// To be called while the device works.
  void sample();
  /// Of the samples, the lower one of two; without any, of now. 0: not known.
  [[nodiscard]] double median_mhz() const;
  /// "580.65.06"; empty: not known.
  [[nodiscard]] std::string driver() const;

 private:
  [[nodiscard]] double now_mhz() const;
  template <class Function>
  [[nodiscard]] Function find(const char* name) const;

  void* library_ = nullptr;            // open to the end of the process
  void* device_ = nullptr;             // its handle of it
  std::vector<double> samples_;
};

}  // namespace fabricast::runtime::cuda
