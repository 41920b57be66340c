#include "strategies/routing_builder.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>

#include "hardware_models/config_error.hpp"
#include "tests/strategies/guide.hpp"

namespace fabricast::routing_builder_test {

using namespace fabricast;
using namespace fabricast::strategy;

namespace {

Degrees guide_degrees() { return derive_degrees(tests::guide_strategy(), tests::guide_model(), tests::guide_workload(), 128); }

/// A CSV file that goes away with the test.
struct CsvFile {
  std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("fabricast_routing_{}.csv", static_cast<const void*>(this));
  explicit CsvFile(const std::string& text) { std::ofstream(path) << text; }
  ~CsvFile() { std::filesystem::remove(path); }
};

std::string error_of(const std::string& csv) {
  const CsvFile file(csv);
  RoutingSpec routing;
  routing.distribution = RoutingDistribution::file;
  routing.file = file.path.string();
  try {
    (void)build_routing(tests::guide_model(), tests::guide_workload(), tests::guide_strategy(), routing, guide_degrees());
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("capped shares keep the total, respect the cap and are proportional below it") {
  // weights 8, 1, 1; total 6, cap 4: the first is cut to 4, the rest share 2 evenly.
  CHECK(capped_shares({8, 1, 1}, 6, 4) == std::vector<double>{4, 1, 1});
  // no cap reached: total · w / Σw
  CHECK(capped_shares({3, 1}, 8, 100) == std::vector<double>{6, 2});
  // everything at the cap
  CHECK(capped_shares({5, 3, 1}, 6, 2) == std::vector<double>{2, 2, 2});
  CHECK(capped_shares({0, 1}, 2, 2) == std::vector<double>{0, 2});
}

TEST_CASE("rounding keeps the sum and moves no share by a whole") {
  const std::vector<double> shares{0.4, 1.3, 2.0, 0.3, 5.5, 0.5};
  for (int i = 0; i < 100; ++i) {
    const auto counts = round_shares(shares, i / 100.0);
    CHECK(std::accumulate(counts.begin(), counts.end(), 0U) == 10U);
    for (std::size_t e = 0; e < shares.size(); ++e) CHECK(std::abs(counts[e] - shares[e]) < 1.0);
  }
}

TEST_CASE("a Zipf plan sends every token to top_k experts, no expert more than once, and the r-th expert in proportion to r^-s") {
  RoutingSpec routing;
  routing.distribution = RoutingDistribution::zipf;
  routing.exponent = 0.5;
  const auto plan = build_routing(tests::guide_model(), tests::guide_workload(), tests::guide_strategy(), routing, guide_degrees());
  double norm = 0;  // with this exponent no expert reaches the cap
  for (int r = 1; r <= 64; ++r) norm += std::pow(r, -0.5);
  for (const std::int32_t layer : {0, 7}) {
    std::vector<std::int64_t> totals(64, 0);
    for (std::int32_t source = 0; source < 128; ++source) {
      CHECK(plan.rows_sent({layer, 0, 0}, source) == 20000);
      for (std::int32_t e = 0; e < 64; ++e) {
        CHECK(plan.rows({layer, 0, 0}, source, e) <= 10000);
        totals[static_cast<std::size_t>(e)] += plan.rows({layer, 0, 0}, source, e);
      }
    }
    std::sort(totals.rbegin(), totals.rend());
    for (int r = 1; r <= 64; ++r) {
      const double expected = 2.56e6 * std::pow(r, -0.5) / norm;
      CHECK(std::abs(static_cast<double>(totals[static_cast<std::size_t>(r - 1)]) - expected) < 128);  // less than a row a source
    }
  }
}

// A share of Dirichlet(c, …) among E: mean 1/E, variance (1/E)(1 - 1/E) / (c·E + 1).
TEST_CASE("shares of a Dirichlet plan have its mean and variance, and each token goes to top_k experts") {
  ModelSpec model = tests::guide_model();
  model.layers = 256;
  model.moe->top_k = 1;   // no expert is cut off at a token's one choice of it
  RoutingSpec routing;
  routing.distribution = RoutingDistribution::dirichlet;
  for (const double concentration : {0.2, 1.0, 10.0}) {
    CAPTURE(concentration);
    routing.concentration = concentration;
    const auto plan = build_routing(model, tests::guide_workload(), tests::guide_strategy(), routing, guide_degrees());
    double squares = 0;
    for (std::int32_t layer = 0; layer < 256; ++layer) {
      CHECK(plan.rows_sent({layer, 0, 0}, 0) == 10000);
      for (std::int32_t e = 0; e < 64; ++e) {
        const double off = static_cast<double>(plan.rows({layer, 0, 0}, 0, e)) / 10000 - 1.0 / 64;
        squares += off * off;
      }
    }
    const double variance = 1.0 / 64 * (1 - 1.0 / 64) / (concentration * 64 + 1);
    CHECK(squares / (256 * 64) == doctest::Approx(variance).epsilon(0.06));
  }
}

TEST_CASE("another seed makes other experts popular, the same seed gives the same plan") {
  RoutingSpec routing;
  routing.distribution = RoutingDistribution::zipf;
  const auto rows = [&](std::uint64_t seed) {
    routing.seed = seed;
    const auto plan = build_routing(tests::guide_model(), tests::guide_workload(), tests::guide_strategy(), routing, guide_degrees());
    std::vector<std::int64_t> result;
    for (std::int32_t e = 0; e < 64; ++e) result.push_back(plan.rows({0, 0, 0}, 0, e));
    return result;
  };
  CHECK(rows(1) == rows(1));
  CHECK(rows(1) != rows(2));
}

TEST_CASE("a counts file of the workload's own size is reproduced row by row, other sizes in proportion") {
  std::string csv = "# measured\nlayer, expert, tokens\n";
  for (int e = 0; e < 64; ++e) csv += fmt::format("0,{},{}\n", e, e < 32 ? 400 : 225);  // 32·400 + 32·225 = 20000
  const CsvFile file(csv);
  RoutingSpec routing;
  routing.distribution = RoutingDistribution::file;
  routing.file = file.path.string();
  const auto plan = build_routing(tests::guide_model(), tests::guide_workload(), tests::guide_strategy(), routing, guide_degrees());
  for (const std::int32_t layer : {0, 15}) {  // the one layer named stands for all
    for (std::int32_t e = 0; e < 64; ++e) CHECK(std::abs(plan.rows({layer, 0, 0}, 5, e) - (e < 32 ? 400 : 225)) <= 1);
  }
}

TEST_CASE("a bad counts file gives one line with its place") {
  CHECK(error_of("layer,expert,tokens\n0,64,1\n").find(":2: expert \"64\"") != std::string::npos);
  CHECK(error_of("layer,expert,tokens\n0,1,-5\n").find(":2: tokens \"-5\"") != std::string::npos);
  CHECK(error_of("layer,expert,tokens\n0,1\n").find(":2: 2 cells") != std::string::npos);
  CHECK(error_of("layer,expert\n0,1\n").find(":1: expected the columns") != std::string::npos);
  CHECK(error_of("").find("no rows") != std::string::npos);
  CHECK(error_of("layer,expert,tokens\n0,1,5\n").find("fewer than top_k 2") != std::string::npos);
  CHECK(error_of("layer,layer,expert,tokens\n0,0,1,5\n").find(":1: column \"layer\" occurs twice") != std::string::npos);
  CHECK(error_of(std::string(1 << 20, 'x')).find(":1: longer than 4095 characters") != std::string::npos);
  CHECK(error_of("\xef\xbb\xbflayer,expert,tokens\r\n0,64,1\r\n").find(":2: expert \"64\"") != std::string::npos);   // a mark, as spreadsheets write
}

TEST_CASE("each placement hosts every expert, and each position as many as its rule says") {
  auto model = tests::guide_model();
  SUBCASE("one of every layer per position") {
    const auto hosts = expert_hosts(model, ExpertPlacement::every_layer, 64);
    for (const auto& layer : hosts) {
      for (std::int32_t e = 0; e < 64; ++e) CHECK(layer[static_cast<std::size_t>(e)].positions == std::vector{e});
    }
  }
  SUBCASE("16 a layer, striped: layer l's experts start where layer l-1's ended, 4 layers fill the 64 positions once") {
    model.moe->experts_per_layer = 16;
    const auto hosts = expert_hosts(model, ExpertPlacement::striped, 64);
    std::vector<int> hosted(64, 0);
    for (std::int32_t l = 0; l < 16; ++l) {
      for (std::int32_t e = 0; e < 16; ++e) {
        const auto& at = hosts[static_cast<std::size_t>(l)][static_cast<std::size_t>(e)].positions;
        CHECK(at == std::vector{(16 * l + e) % 64});
        ++hosted[static_cast<std::size_t>(at[0])];
      }
    }
    for (const int h : hosted) CHECK(h == 4);  // 16 layers · 16 experts / 64 positions
  }
  SUBCASE("16 a layer, replicated: four copies each") {
    model.moe->experts_per_layer = 16;
    const auto hosts = expert_hosts(model, ExpertPlacement::replicated, 64);
    for (std::int32_t e = 0; e < 16; ++e) CHECK(hosts[3][static_cast<std::size_t>(e)].positions == std::vector{e, e + 16, e + 32, e + 48});
  }
}

TEST_CASE("a source uses its own copy, else its node's, else all of them") {
  // positions 0..3 on nodes 0,0,1,1; expert 0 at 0 and 2, expert 1 at 1 and 3
  const std::vector<std::vector<ir::Replicas>> hosts{{{{0, 2}}, {{1, 3}}, {{2, 3}}}};
  const std::vector<NodeId> nodes{NodeId{0}, NodeId{0}, NodeId{1}, NodeId{1}};
  const auto nearest = nearest_replicas(hosts, {SourcePlace{NodeId{0}, 0, nodes}});
  CHECK(nearest[0][0][0].positions == std::vector{0});
  CHECK(nearest[0][0][1].positions == std::vector{1});
  CHECK(nearest[0][0][2].positions == std::vector{2, 3});
}

}  // namespace fabricast::routing_builder_test
