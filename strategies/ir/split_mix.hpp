// Pseudo-random numbers that are the same on every machine: splitmix64 (Steele, Lea, Flood 2014). Knows no use of them.
#pragma once

#include <cstdint>

namespace fabricast::ir {

class SplitMix64 {
 public:
  explicit constexpr SplitMix64(std::uint64_t seed) : state_(seed) {}

  /// A generator of its own for each key, so that what one block draws does not depend on how many others were drawn before.
  [[nodiscard]] constexpr SplitMix64 fork(std::uint64_t key) const { return SplitMix64(mix(state_ ^ mix(key + increment))); }

  constexpr std::uint64_t next() {
    state_ += increment;
    return mix(state_);
  }

  /// Uniform in [0, bound); by multiplication, so biased by at most bound / 2^32.
  constexpr std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(((next() >> 32U) * bound) >> 32U); }

 private:
  static constexpr std::uint64_t increment = 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio, odd

  static constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31U);
  }

  std::uint64_t state_;
};

}  // namespace fabricast::ir
