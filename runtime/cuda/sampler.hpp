// Times what is put on a stream, by pairs of events and without waiting in between. Knows no kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/cuda/cuda_api.hpp"

namespace fabricast::runtime::cuda {

/// Before each sample a kernel reads twice the second-level cache's size, so that operands come from memory and nothing is left to be written
/// back; meanwhile the host gets ahead, so that the device does not wait for launches. All samples are enqueued, then waited for.
class Sampler {
 public:
  /// Allocates on the current device. `when_busy` is called once in each call of `sample`, when all is handed over. Throws CudaError.
  Sampler(std::int32_t repetitions, Bytes cache, std::function<void()> when_busy);

  struct Work {
    std::function<void()> enqueue;       // on the stream
    std::int64_t launches = 1;           // about so many
  };
  /// Of each work its times; works take turns, sample by sample, so that a slow spell falls on all.
  [[nodiscard]] std::vector<std::vector<Seconds>> sample(cudaStream_t stream, std::span<const Work> works);
  /// Of the last call: from the first warm-up's beginning to the last sample's end; and that end.
  [[nodiscard]] Seconds lasted() const;
  [[nodiscard]] cudaEvent_t last_end() const { return ends_.back().get(); }

  /// Keeps the device busy for so long, so that its clocks have risen.
  void warm_up(cudaStream_t stream, Seconds least) const;

  /// "10 warm-ups, ..."
  [[nodiscard]] std::string method() const;

 private:
  void flush(cudaStream_t stream, std::int64_t times) const;

  std::int32_t repetitions_;
  std::function<void()> when_busy_;
  DeviceMemory read_, sums_;
  Event start_;                          // of the last call
  std::vector<Event> begins_, ends_;     // [repetition · works + work]
};

}  // namespace fabricast::runtime::cuda
