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

// As NCCL's kernels have: threads, and shared memory (NCCL_LL128_SHMEM_SIZE words of 8 bytes, its device.h), so that a block of a matrix
// product, which takes most of an SM's, finds no room beside it.
constexpr int traffic_threads = 512;
constexpr std::size_t traffic_shared = 8 * 8 * 640;
constexpr int packs_at_once = 8;   // of a thread, between two looks at the clock, which are slow

/// Each block writes its share of `packs`, slice by slice, no slice before its time has come: an even pace at the timer's resolution. A thread writes
/// one pack of random numbers over and over, turned by a word each time: to make new ones takes longer than to write them.
__global__ void __launch_bounds__(traffic_threads) write_at_pace(std::uint64_t seed, Pack<float>* place, std::int64_t packs_there, bool is_bf16,
                                                                 std::int64_t packs, std::int64_t nanoseconds) {
  const std::int64_t begin = nanoseconds_now();
  const std::int64_t of_block = (packs + gridDim.x - 1) / gridDim.x, first = of_block * blockIdx.x + threadIdx.x;
  const std::int64_t end = packs_there == 0 ? 0 : of_block * (blockIdx.x + 1) < packs ? of_block * (blockIdx.x + 1) : packs;
  const std::int64_t slices = (of_block + traffic_threads * packs_at_once - 1) / (traffic_threads * packs_at_once);
  Pack<float> own = random_pack(seed, static_cast<std::int64_t>(blockIdx.x) * traffic_threads + threadIdx.x, is_bf16);
  std::int64_t i = first, at = packs_there == 0 ? 0 : first % packs_there;
  for (std::int64_t slice = 0; slice < slices; ++slice) {
#pragma unroll
    for (int p = 0; p < packs_at_once; ++p, i += traffic_threads) {
      if (i < end) place[at] = own;
      own = {{own.words[1], own.words[2], own.words[3], own.words[0]}};
      at += traffic_threads;
      if (at >= packs_there && packs_there > 0) at %= packs_there;
    }
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
  const std::int64_t there = place.rows * place.width * (place.is_bf16 ? 2 : 4) / pack_bytes;
  write_at_pace<<<grid_of(ctas), traffic_threads, traffic_shared, stream>>>(seed, reinterpret_cast<Pack<float>*>(place.data), there, place.is_bf16,
                                                                            bytes / pack_bytes, nanoseconds);
  check(cudaGetLastError());
}

}  // namespace fabricast::runtime::cuda
