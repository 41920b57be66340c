// Kernels that make data: weights as functions of their place, random numbers, and traffic that stands in for communication.
#include "runtime/cuda/launch.cuh"
#include "runtime/cuda/fill_programs.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr int fill_threads = 256;

__device__ std::int64_t nanoseconds_now() {
  std::uint64_t now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return static_cast<std::int64_t>(now);
}

/// Each block writes its share of `packs`, slice by slice, no slice before its time has come: an even pace at the timer's resolution.
__global__ void write_at_pace(std::uint64_t seed, Pack<float>* place, std::int64_t packs_there, bool is_bf16, std::int64_t packs,
                              std::int64_t nanoseconds, const volatile std::int32_t* stop) {
  const std::int64_t begin = nanoseconds_now();
  const std::int64_t of_block = (packs + gridDim.x - 1) / gridDim.x, first = of_block * blockIdx.x;
  const std::int64_t slices = (of_block + blockDim.x - 1) / blockDim.x;
  for (std::int64_t slice = 0; slice < slices; ++slice) {
    const std::int64_t i = first + slice * blockDim.x + threadIdx.x;
    if (packs_there > 0 && i < first + of_block && i < packs) place[i % packs_there] = random_pack(seed, i, is_bf16);
    while (nanoseconds_now() - begin < nanoseconds * (slice + 1) / slices) {
      if (stop && *stop != 0) return;
      __nanosleep(100);
    }
    if (stop && *stop != 0) return;
  }
  while (nanoseconds_now() - begin < nanoseconds && !(stop && *stop != 0)) __nanosleep(100);
}

__global__ void do_nothing() {}

}  // namespace

void launch_fill_weights(const RandomWeights& matrix, const WeightRuns& columns, std::int64_t first_row, bool is_transposed, const Rows& out,
                         StreamHandle stream) {
  if (out.is_bf16) {
    launch_rows(FillWeights<Bf16>{matrix, columns, first_row, is_transposed, elements<Bf16>(out), out.width}, out.rows, fill_threads, stream);
  } else {
    launch_rows(FillWeights<float>{matrix, columns, first_row, is_transposed, elements<float>(out), out.width}, out.rows, fill_threads,
                stream);
  }
}

void launch_fill_random(std::uint64_t seed, const Rows& out, StreamHandle stream) {
  const std::int64_t bytes = out.rows * out.width * (out.is_bf16 ? 2 : 4);
  const FillRandom program{seed, out.data, bytes, out.is_bf16};
  launch_rows(program, (bytes + FillRandom::chunk - 1) / FillRandom::chunk, fill_threads, stream);
}

void launch_fill_bytes(std::byte* data, int value, std::size_t bytes, StreamHandle stream) {
  check(cudaMemsetAsync(data, value, bytes, stream));
}

void launch_traffic(std::uint64_t seed, const Rows& place, std::int64_t bytes, std::int32_t ctas, std::int64_t nanoseconds,
                    const volatile std::int32_t* stop, StreamHandle stream) {
  constexpr int threads = 512;  // as NCCL's kernels have
  const std::int64_t there = place.rows * place.width * (place.is_bf16 ? 2 : 4) / pack_bytes;
  write_at_pace<<<grid_of(ctas), threads, 0, stream>>>(seed, reinterpret_cast<Pack<float>*>(place.data), there, place.is_bf16,
                                                       bytes / pack_bytes, nanoseconds, stop);
  check(cudaGetLastError());
}

void launch_nothing(StreamHandle stream) {
  do_nothing<<<1, 1, 0, stream>>>();
  check(cudaGetLastError());
}

}  // namespace fabricast::runtime::cuda
