#include "runtime/cuda/compute_space.hpp"

namespace fabricast::runtime::cuda {

ComputeSpace::ComputeSpace(cudaStream_t stream, const Sizes& sizes)
    : stream_(stream),
      sizes_(sizes),
      scores_(sizes.scores),
      workspaces_(sizes.workspace * static_cast<std::int64_t>(1 + sizes.expert_streams)),
      fork_(make_event()) {
  for (std::size_t i = 0; i < sizes.expert_streams; ++i) {
    expert_streams_.push_back(make_stream(Priority::low));
    joins_.push_back(make_event());
  }
}

std::span<std::byte> ComputeSpace::workspace(std::size_t place) const {
  const auto size = static_cast<std::size_t>(sizes_.workspace.value());
  return workspaces_.span().subspan(place * size, size);
}

Bytes ComputeSpace::memory_of(const Sizes& sizes) { return sizes.scores + sizes.workspace * static_cast<std::int64_t>(1 + sizes.expert_streams); }

}  // namespace fabricast::runtime::cuda
