// How a published benchmark routes its tokens: sums, bounds, and which layers share a file of tuned kernels.
#include "validation/benchmark_routing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace fabricast::benchmark_routing_test {

using namespace fabricast::validation;
using fabricast::hw::ExpertRowCounts;

std::int64_t total(const ExpertRowCounts& rows) { return std::accumulate(rows.begin(), rows.end(), std::int64_t{0}); }
std::int64_t most(const ExpertRowCounts& rows) { return *std::max_element(rows.begin(), rows.end()); }

/// tokens, hidden, inner of a rank, top_k, experts, ranks, tensor
BenchmarkLayer layer(std::int64_t tokens, std::int64_t top_k, std::int64_t experts, std::int64_t ranks) {
  return {tokens, 4096, 1024, top_k, experts, ranks, 1};
}

TEST_CASE("every choice of every token reaches an expert, whatever the routing") {
  for (const std::int64_t tokens : {1, 3, 8, 16, 40, 512, 5000}) {
    for (const auto& [top_k, experts] : {std::pair<std::int64_t, std::int64_t>{2, 8}, {8, 128}, {10, 512}, {22, 512}}) {
      CAPTURE(tokens);
      CAPTURE(experts);
      CHECK(total(balanced_rows(layer(tokens, top_k, experts, 1))) == tokens * top_k);
      for (const double alpha : {1.01, 1.2, 3.0}) {
        const ExpertRowCounts rows = power_law_rows(layer(tokens, top_k, experts, 1), alpha, 7);
        CHECK(total(rows) == tokens * top_k);
        CHECK(most(rows) <= tokens);   // a token chooses an expert once
      }
    }
  }
}

TEST_CASE("balanced rows of an expert differ by one at most where tokens fill the experts") {
  const ExpertRowCounts rows = balanced_rows(layer(1000, 8, 256, 4));
  CHECK(rows.size() == 64);
  CHECK(most(rows) - *std::min_element(rows.begin(), rows.end()) <= 8);   // each choice's remainder begins at its own expert
}

TEST_CASE("under a power law the rank with the most rows is timed: it has its even share at least") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const ExpertRowCounts rows = power_law_rows(layer(512, 8, 128, 16), 1.2, seed);
    CHECK(rows.size() == 8);
    CHECK(total(rows) >= 512 * 8 / 16);
  }
}

// Weights drawn between 0.01 and 2 round to nothing for most experts; what is left over goes round the ranks, so a rank's choices spread
// over many experts, where rounding alone would leave it a few.
TEST_CASE("few choices spread over experts: what rounding leaves over is dealt, not lost") {
  const ExpertRowCounts rows = power_law_rows(layer(32, 8, 256, 1), 1.01, 5);
  CHECK(std::count_if(rows.begin(), rows.end(), [](std::int64_t count) { return count > 0; }) >= 100);
}

TEST_CASE("kernels are tuned to an expert's even rows") {
  CHECK(tuned_rows(layer(512, 8, 128, 16)) == 32);
  CHECK(tuned_rows(layer(1, 8, 128, 16)) == 1);
}

// Of hidden 4096: 2048 / 8 = 1024 / 4 = 256 wide, 256 / 1 = 512 / 2 experts. Of hidden 2048: 512 / 256 = 2 experts, and 512 / 2 = 256.
TEST_CASE("layers share a file of tuned kernels where its name is, or begins with, another layer's") {
  CHECK(may_share_tuning({64, 4096, 256, 8, 256, 1, 8}));
  CHECK(may_share_tuning({64, 4096, 256, 10, 512, 2, 4}));
  CHECK(may_share_tuning({64, 2048, 5120, 22, 512, 256, 1}));
  CHECK_FALSE(may_share_tuning({64, 2048, 5120, 22, 512, 2, 1}));   // 256 experts: no other name begins so
  CHECK_FALSE(may_share_tuning({64, 2048, 768, 8, 128, 1, 1}));
  CHECK_FALSE(may_share_tuning({64, 4096, 300, 6, 64, 1, 1}));      // none is as wide
}

}  // namespace fabricast::benchmark_routing_test
