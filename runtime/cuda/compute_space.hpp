// What computing takes beside an op's own buffers: a stream, more streams for experts side by side, and scratch memory. Knows no ops and no
// ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/kernels.hpp"
#include "runtime/cuda/cuda_api.hpp"

namespace fabricast::runtime::cuda {

/// Tables of one op in device memory.
struct OpTables {
  const std::int32_t* rows = nullptr;       // BoundOp::table
  const float* turns = nullptr;             // of a rotary embedding
};

class ComputeSpace {
 public:
  struct Sizes {
    hw::Precision precision = hw::Precision::bf16;
    std::size_t expert_streams = 0;         // 0: where no op has several experts
    Bytes workspace;                        // for matrix products, of each stream
    Bytes scores;                           // of the largest router, fp32
  };

  /// Allocates on the current device. `stream` must outlive it. Throws CudaError.
  ComputeSpace(cudaStream_t stream, const Sizes& sizes);

  [[nodiscard]] cudaStream_t stream() const { return stream_; }
  [[nodiscard]] bool is_bf16() const { return sizes_.precision == hw::Precision::bf16; }
  [[nodiscard]] float* scores() const { return reinterpret_cast<float*>(scores_.data()); }

  /// Each stream has a workspace of its own; number 0 is the first stream's.
  [[nodiscard]] std::size_t expert_streams() const { return expert_streams_.size(); }
  [[nodiscard]] cudaStream_t expert_stream(std::size_t i) const { return expert_streams_[i].get(); }
  [[nodiscard]] std::span<std::byte> workspace(std::size_t place) const;
  [[nodiscard]] cudaEvent_t fork() const { return fork_.get(); }
  [[nodiscard]] cudaEvent_t join(std::size_t i) const { return joins_[i].get(); }

  /// What one of these sizes takes of device memory.
  [[nodiscard]] static Bytes memory_of(const Sizes& sizes);

 private:
  cudaStream_t stream_;
  Sizes sizes_;
  DeviceMemory scores_, workspaces_;
  std::vector<Stream> expert_streams_;
  Event fork_;
  std::vector<Event> joins_;
};

}  // namespace fabricast::runtime::cuda
