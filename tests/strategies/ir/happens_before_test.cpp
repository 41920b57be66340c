#include "strategies/ir/happens_before.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "strategies/ir/split_mix.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::ir::happens_before_test {

namespace {

Program random_program(std::uint64_t seed) {
  SplitMix64 random(seed);
  HandMade made(1);
  for (std::uint32_t i = 0; i < 30; ++i) {
    std::vector<OpIndex> after;
    if (i > 0 && random.below(2) == 0) after.push_back(OpIndex{static_cast<std::int32_t>(random.below(i))});
    made.op(static_cast<std::int32_t>(random.below(3)), compute(), after);
  }
  return made.schedule().programs[0];
}

/// The slow truth: everything reachable backwards over stream order and edges.
std::set<std::int32_t> ancestors(const Program& program, std::int32_t op) {
  std::set<std::int32_t> found;
  std::vector<std::int32_t> open{op};
  while (!open.empty()) {
    const Op& later = program.ops[static_cast<std::size_t>(open.back())];
    const std::int32_t index = open.back();
    open.pop_back();
    for (std::int32_t i = 0; i < index; ++i) {
      const Op& earlier = program.ops[static_cast<std::size_t>(i)];
      const bool edge = std::find(later.after.begin(), later.after.end(), OpIndex{i}) != later.after.end();
      if ((edge || earlier.stream == later.stream) && found.insert(i).second) open.push_back(i);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("an op happens before another exactly if streams and edges lead from it to the other") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Program program = random_program(seed);
    const HappensBefore order(program);
    for (std::int32_t b = 0; b < 30; ++b) {
      const auto before = ancestors(program, b);
      for (std::int32_t a = 0; a < 30; ++a) CHECK(order.ordered(OpIndex{a}, OpIndex{b}) == before.contains(a));
    }
  }
}

}  // namespace fabricast::ir::happens_before_test
