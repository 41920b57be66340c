// Sizes of launches: how many blocks and threads, and which access width. Pure arithmetic; includes no CUDA header.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>

namespace fabricast::runtime::cuda {

constexpr std::int64_t pack_bytes = 16;
constexpr std::int64_t most_blocks = (std::int64_t{1} << 31) - 1;  // of a grid's first dimension (CUDA programming guide, compute capabilities)

[[nodiscard]] inline unsigned grid_of(std::int64_t blocks) {
  if (blocks < 1 || blocks > most_blocks) throw std::invalid_argument("a launch has 1 to 2^31 - 1 blocks");
  return static_cast<unsigned>(blocks);
}

/// Whole warps, one thread for each unit up to 256: enough to have a row's accesses under way at once.
[[nodiscard]] inline int threads_for(std::int64_t units_in_row) {
  constexpr std::int64_t warp = 32, most = 256;
  return static_cast<int>(std::clamp((units_in_row + warp - 1) / warp * warp, warp, most));
}

/// May rows of so many bytes at these addresses be read 16 bytes at a time?
[[nodiscard]] inline bool fits_packs(std::int64_t row_bytes, std::initializer_list<const void*> addresses) {
  return row_bytes % pack_bytes == 0 && std::all_of(addresses.begin(), addresses.end(), [](const void* address) {
           return reinterpret_cast<std::uintptr_t>(address) % pack_bytes == 0;
         });
}

/// The largest power of two, up to 256, that divides the address: what cublasLt may rely on.
[[nodiscard]] inline std::uint32_t alignment_of(const void* address) {
  std::uint32_t alignment = 256;
  while (reinterpret_cast<std::uintptr_t>(address) % alignment != 0) alignment /= 2;
  return alignment;
}

}  // namespace fabricast::runtime::cuda
