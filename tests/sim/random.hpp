// Seeded random numbers for the tests of this folder: the same on every machine.
#pragma once

#include <cstdint>

#include "strategies/ir/split_mix.hpp"

namespace fabricast::tests {

class Random {
 public:
  explicit Random(std::uint64_t seed) : bits_(seed) {}

  /// Uniform in [least, most], fewer than 2^32 values apart.
  std::int64_t between(std::int64_t least, std::int64_t most) { return least + bits_.below(static_cast<std::uint32_t>(most - least + 1)); }
  bool chance(std::int64_t percent) { return between(1, 100) <= percent; }

 private:
  ir::SplitMix64 bits_;
};

}  // namespace fabricast::tests
