// Storage types and their conversion to the fp32 in which everything is computed: on the host, and (constexpr) in device code. Knows no
// kernels.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace fabricast::runtime {

/// The upper half of an fp32.
struct Bf16 {
  std::uint16_t bits;
};

[[nodiscard]] constexpr float to_float(float value) { return value; }
[[nodiscard]] constexpr float to_float(Bf16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16U); }

constexpr void store(float value, float& place) { place = value; }
/// To nearest, ties to even. A NaN stays one. On a device by the one instruction that does just this.
constexpr void store(float value, Bf16& place) {
#ifdef __CUDA_ARCH__
  if (!std::is_constant_evaluated()) {
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(place.bits) : "f"(value));
    return;
  }
#endif
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool is_nan = value != value;
  const std::uint32_t rounded = bits + 0x7fffU + ((bits >> 16U) & 1U);
  place.bits = static_cast<std::uint16_t>(is_nan ? (bits >> 16U) | 0x40U : rounded >> 16U);
}

template <class Element>
[[nodiscard]] float rounded_to(float value) {
  Element element;
  store(value, element);
  return to_float(element);
}

}  // namespace fabricast::runtime
