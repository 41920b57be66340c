// What kernels are written in: a program for one block of threads, as phases that each thread runs, so that the very same text runs on the
// device and, one thread after the other, in a test on the host. Includes no CUDA header and knows no kernel.
//
// A Block has
//   threads()                    how many there are
//   each(f)                      f(thread) for every thread; afterwards all see what each wrote
//   each_alone(f)              the same where no thread reads what another wrote
//   sum(f), maximum(f)           of f(thread) over all threads
//   shared<T>()                  a T that all threads of the block see
//   PerThread<T>                 a T for each thread: registers on the device; state[thread]
//   mma(state, f), quad_sum(state, f), quad_maximum(state, f)     within warps: see device_block.cuh
#pragma once

#include <cstdint>

#include "runtime/bf16.hpp"

#ifdef __CUDACC__
#define FABRICAST_DEVICE_CODE __host__ __device__
#else
#define FABRICAST_DEVICE_CODE
#endif

namespace fabricast::runtime::cuda {

constexpr int warp_size = 32;

/// 16 bytes that travel as one access, as elements.
template <class Element>
struct alignas(16) Pack {
  static constexpr int count = 16 / static_cast<int>(sizeof(Element));
  std::uint32_t words[4];

  [[nodiscard]] FABRICAST_DEVICE_CODE float get(int i) const {
    if constexpr (sizeof(Element) == 4) {
      return std::bit_cast<float>(words[i]);
    } else {
      return std::bit_cast<float>((i % 2 == 0 ? words[i / 2] << 16U : words[i / 2] & 0xffff0000U));
    }
  }
  FABRICAST_DEVICE_CODE void set(int i, float value) {
    if constexpr (sizeof(Element) == 4) {
      words[i] = std::bit_cast<std::uint32_t>(value);
    } else {
      Bf16 rounded{};
      store(value, rounded);
      const std::uint32_t half = rounded.bits;
      words[i / 2] = i % 2 == 0 ? (words[i / 2] & 0xffff0000U) | half : (words[i / 2] & 0x0000ffffU) | half << 16U;
    }
  }
};

/// One element, where rows are no multiples of 16 bytes.
template <class Element>
struct Single {
  static constexpr int count = 1;
  Element element;

  [[nodiscard]] FABRICAST_DEVICE_CODE float get(int) const { return to_float(element); }
  FABRICAST_DEVICE_CODE void set(int, float value) { store(value, element); }
};

template <class Unit, class Element>
[[nodiscard]] FABRICAST_DEVICE_CODE const Unit* units(const Element* elements) {
  return reinterpret_cast<const Unit*>(elements);
}
template <class Unit, class Element>
[[nodiscard]] FABRICAST_DEVICE_CODE Unit* units(Element* elements) {
  return reinterpret_cast<Unit*>(elements);
}

}  // namespace fabricast::runtime::cuda
