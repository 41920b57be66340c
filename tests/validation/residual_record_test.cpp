#include "validation/residual_record.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "strategies/ir/split_mix.hpp"

namespace fabricast::residual_record_test {

using namespace fabricast;
using namespace fabricast::validation;

double uniform(ir::SplitMix64& random) { return static_cast<double>(random.next() >> 11) * 0x1p-53; }

/// Ratios that are uniform in 1 ± width; small rows scatter five times as far. Forty families of fifty rows in five folds.
std::vector<HeldOutRow> scattered(std::uint64_t seed) {
  std::vector<HeldOutRow> rows;
  ir::SplitMix64 random(seed);
  for (int i = 0; i < 2000; ++i) {
    const double size = std::exp2(12 * uniform(random));
    const double width = size < 64 ? 0.5 : 0.1;
    const int family = i % 40;
    rows.push_back({size, 1 + width * (2 * uniform(random) - 1), family % 5, "n=" + std::to_string(family), {{"rows", size}}});
  }
  return rows;
}

// A uniform ratio in 1 ± w has its 10th percentile at 1 - 0.8·w.
TEST_CASE("regions follow the scatter: wide where rows are few, narrow where they are many") {
  const hw::CalibratedKind record = record_of("gemm bf16", scattered(1), true);
  CHECK(record.regions.size() == 6);
  CHECK(record.regions.front().low == doctest::Approx(1 - 0.8 * 0.5).epsilon(0.05));
  CHECK(record.regions.back().high == doctest::Approx(1 + 0.8 * 0.1).epsilon(0.02));
  std::int64_t rows = 0;
  for (const hw::CalibratedRegion& region : record.regions) rows += region.count;
  CHECK(rows == 2000);
}

// Of 2000 rows 80 % ± 1.8 % (two standard deviations) should be inside.
TEST_CASE("intervals from some families hold for four in five rows of the others") {
  CHECK(record_of("gemm bf16", scattered(1), true).coverage == doctest::Approx(0.8).epsilon(0.03));
  const hw::CalibratedKind record = record_of("gemm bf16", scattered(1), true);
  int inside = 0;
  for (const HeldOutRow& row : scattered(2)) {
    const hw::CalibratedRegion& region = nearest_region(record.regions, row.size);
    inside += row.ratio >= region.low && row.ratio <= region.high ? 1 : 0;
  }
  CHECK(inside / 2000.0 == doctest::Approx(0.8).epsilon(0.03));
}

/// Families off by a factor of their own, uniform in 1 ± 0.2, whose rows scatter by 1 %. Few families: the percentiles of some say too little.
std::vector<HeldOutRow> systematic(std::uint64_t seed, int families) {
  std::vector<HeldOutRow> rows;
  ir::SplitMix64 random(seed);
  for (int family = 0; family < families; ++family) {
    const double off = 1 + 0.2 * (2 * uniform(random) - 1);
    for (int i = 0; i < 100; ++i) {
      rows.push_back({std::exp2(12 * uniform(random)), off * (1 + 0.01 * (2 * uniform(random) - 1)), family % 5, "n=" + std::to_string(family), {}});
    }
  }
  return rows;
}

// Percentiles of K families hold (K - 1) / (K + 1) of further ones at the most, were they to run from the least to the largest.
TEST_CASE("where families differ, intervals are as wide as other families need") {
  double plain = 0, record = 0;
  int cases = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const std::vector<HeldOutRow> rows = systematic(seed, 10), unseen = systematic(seed + 1000, 10);
    std::vector<std::pair<double, double>> pairs;
    for (const HeldOutRow& row : rows) pairs.emplace_back(row.size, row.ratio);
    const std::vector<hw::CalibratedRegion> percentiles = regions_of(pairs), fitted = record_of("gemm bf16", rows, true).regions;
    for (const HeldOutRow& row : unseen) {
      const auto inside = [&](const std::vector<hw::CalibratedRegion>& regions) {
        const hw::CalibratedRegion& region = nearest_region(regions, row.size);
        return row.ratio >= region.low && row.ratio <= region.high ? 1 : 0;
      };
      plain += inside(percentiles);
      record += inside(fitted);
      ++cases;
    }
  }
  CHECK(plain / cases < 0.76);
  CHECK(record / cases == doctest::Approx(0.8).epsilon(0.06));
}

TEST_CASE("a size outside every region is judged by the nearest") {
  const std::vector<hw::CalibratedRegion> regions{{1, 16, 30, 0.5, 2.0}, {64, 512, 30, 0.9, 1.1}};
  CHECK(&nearest_region(regions, 0.5) == &regions[0]);
  CHECK(&nearest_region(regions, 20) == &regions[0]);
  CHECK(&nearest_region(regions, 50) == &regions[1]);
  CHECK(&nearest_region(regions, 1e9) == &regions[1]);
}

TEST_CASE("few rows give an interval of all that they are, and none is refused") {
  const std::vector<hw::CalibratedRegion> regions = regions_of({{1, 0.9}, {2, 1.2}, {3, 1.0}});
  REQUIRE(regions.size() == 1);
  CHECK(regions[0].low == 0.9);
  CHECK(regions[0].high == 1.2);
  CHECK_THROWS_AS(regions_of({}), std::invalid_argument);
}

TEST_CASE("a record's domain spans its rows and its errors are of predicted over measured") {
  const std::vector<HeldOutRow> rows{{1, 0.5, 0, "a", {{"n", 64}}}, {2, 1.0, 1, "b", {{"n", 512}}}, {3, 2.0, 2, "c", {{"n", 128}}}};
  const hw::CalibratedKind record = record_of("gemm bf16", rows, true);
  CHECK(record.domain.at("n") == std::pair{64.0, 512.0});
  CHECK(record.families == 3);
  CHECK(record.median_error == 0.5);   // errors +100 %, 0, -50 %
  CHECK(record.worst_error == 1.0);
  CHECK(record.bias == 0.0);
}

}  // namespace fabricast::residual_record_test
