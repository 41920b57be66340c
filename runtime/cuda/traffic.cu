// A kernel that stands in for communication: it holds its SMs and writes memory for as long as it is told.
#include "runtime/cuda/fill_programs.hpp"
#include "runtime/cuda/launch.cuh"

namespace fabricast::runtime::cuda {
namespace {

__device__ std::int64_t nanoseconds_now() {
  std::uint64_t now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return static_cast<std::int64_t>(now);
}

/// Each block writes its share of `packs`, slice by slice, no slice before its time has come: an even pace at the timer's resolution.
__global__ void write_at_pace(std::uint64_t seed, Pack<float>* place, std::int64_t packs_there, bool is_bf16, std::int64_t packs,
                              std::int64_t nanoseconds) {
  const std::int64_t begin = nanoseconds_now();
  const std::int64_t of_block = (packs + gridDim.x - 1) / gridDim.x, first = of_block * blockIdx.x;
  const std::int64_t slices = (of_block + blockDim.x - 1) / blockDim.x;
  for (std::int64_t slice = 0; slice < slices; ++slice) {
    const std::int64_t i = first + slice * blockDim.x + threadIdx.x;
    if (packs_there > 0 && i < first + of_block && i < packs) place[i % packs_there] = random_pack(seed, i, is_bf16);
    while (nanoseconds_now() - begin < nanoseconds * (slice + 1) / slices) __nanosleep(100);
  }
}

__global__ void wait(std::int64_t nanoseconds) {
  const std::int64_t begin = nanoseconds_now();
  while (nanoseconds_now() - begin < nanoseconds) __nanosleep(1000);
}

}  // namespace

void launch_pause(std::int64_t nanoseconds, StreamHandle stream) {
  wait<<<1, 1, 0, stream>>>(nanoseconds);
  check(cudaGetLastError());
}

void launch_traffic(std::uint64_t seed, const Rows& place, std::int64_t bytes, std::int32_t ctas, std::int64_t nanoseconds,
                    StreamHandle stream) {
  constexpr int threads = 512;  // as NCCL's kernels have
  const std::int64_t there = place.rows * place.width * (place.is_bf16 ? 2 : 4) / pack_bytes;
  write_at_pace<<<grid_of(ctas), threads, 0, stream>>>(seed, reinterpret_cast<Pack<float>*>(place.data), there, place.is_bf16,
                                                       bytes / pack_bytes, nanoseconds);
  check(cudaGetLastError());
}

}  // namespace fabricast::runtime::cuda
