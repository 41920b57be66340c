// A Block of block_program.hpp as CUDA runs it: one thread each. Device code only.
#pragma once

#include "runtime/cuda/block_program.hpp"

namespace fabricast::runtime::cuda {

class DeviceBlock {
 public:
  template <class T>
  class PerThread {
   public:
    __device__ explicit PerThread(const DeviceBlock&) {}
    __device__ T& operator[](int) { return value_; }

   private:
    T value_;
  };

  __device__ int threads() const { return static_cast<int>(blockDim.x); }

  template <class F>
  __device__ void each(F f) {
    f(static_cast<int>(threadIdx.x));
    __syncthreads();
  }

  template <class F>
  __device__ void each_alone(F f) {
    f(static_cast<int>(threadIdx.x));
  }

  template <class F>
  __device__ float sum(F f) {
    return reduce(f(static_cast<int>(threadIdx.x)), 0.0F, [](float a, float b) { return a + b; });
  }
  template <class F>
  __device__ float maximum(F f) {
    return reduce(f(static_cast<int>(threadIdx.x)), -INFINITY, [](float a, float b) { return fmaxf(a, b); });
  }

  template <class T>
  __device__ T* shared() {
    __shared__ alignas(16) unsigned char memory[sizeof(T)];
    return reinterpret_cast<T*>(memory);
  }

  /// f(state of a thread) = {d, a, b}: in each warp d[16,8] += a[16,16] · b[16,8], fragments laid out as PTX says for mma.m16n8k16.
  template <class T, class F>
  __device__ void mma(PerThread<T>& state, F f) {
    const auto fragments = f(state[0]);
    float* const d = fragments.d;
    const std::uint32_t *const a = fragments.a, *const b = fragments.b;
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }

  /// f(state of a thread) = a float, which becomes the sum (the maximum) over the four threads 4i … 4i + 3.
  template <class T, class F>
  __device__ void quad_sum(PerThread<T>& state, F f) {
    float& value = f(state[0]);
    value += __shfl_xor_sync(0xffffffffU, value, 1);
    value += __shfl_xor_sync(0xffffffffU, value, 2);
  }
  template <class T, class F>
  __device__ void quad_maximum(PerThread<T>& state, F f) {
    float& value = f(state[0]);
    value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, 1));
    value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, 2));
  }

 private:
  /// Every thread gets the result. Blocks are whole warps.
  template <class Combine>
  __device__ float reduce(float value, float neutral, Combine combine) {
    for (int step = warp_size / 2; step > 0; step /= 2) value = combine(value, __shfl_xor_sync(0xffffffffU, value, step));
    const int warps = threads() / warp_size;
    if (warps == 1) return value;
    __shared__ float of_warp[warp_size];
    __syncthreads();  // the last reduction's readers are done
    if (threadIdx.x % warp_size == 0) of_warp[threadIdx.x / warp_size] = value;
    __syncthreads();
    float result = neutral;
    for (int w = 0; w < warps; ++w) result = combine(result, of_warp[w]);
    return result;
  }
};

/// Runs a program, a block for each row.
template <class Program>
__global__ void run_rows(Program program) {
  DeviceBlock block;
  program(block, static_cast<std::int64_t>(blockIdx.x));
}

}  // namespace fabricast::runtime::cuda
