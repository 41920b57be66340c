#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <vector>

#include "strategies/ir/routing.hpp"
#include "tests/strategies/ir/random_plans.hpp"

namespace fabricast::ir::routing_assignment_test {

namespace {

RoutingPlan one_block(std::int32_t experts, std::int32_t top_k, std::int64_t tokens, std::uint64_t seed) {
  RoutingShape s;
  s.layers = 1, s.sources = 2, s.experts = experts, s.top_k = top_k, s.tokens = tokens;
  return RoutingPlan::uniform(s, seed);
}

// k experts drawn without replacement from E spread evenly over N nodes: E[distinct] = N · (1 − C(E−E/N, k) / C(E, k)).
double expected_distinct_nodes(int experts, int top_k, int nodes) {
  double none_here = 1;  // C(E−E/N, k) / C(E, k), factor by factor
  for (int i = 0; i < top_k; ++i) none_here *= static_cast<double>(experts - experts / nodes - i) / (experts - i);
  return nodes * (1 - none_here);
}

double mean_distinct_nodes(const std::vector<std::int32_t>& assignment, int experts, std::size_t top_k, int nodes) {
  std::size_t distinct = 0;
  for (std::size_t first = 0; first < assignment.size(); first += top_k) {
    std::set<int> seen;
    for (std::size_t i = 0; i < top_k; ++i) seen.insert(assignment[first + i] / (experts / nodes));
    distinct += seen.size();
  }
  return static_cast<double>(distinct) * static_cast<double>(top_k) / static_cast<double>(assignment.size());
}

}  // namespace

TEST_CASE("every token gets distinct experts and every expert exactly the rows of the plan") {
  for (std::uint64_t seed = 0; seed < 80; ++seed) {
    const RandomPlan random = seed % 2 == 0 ? random_uniform_plan(seed) : random_counted_plan(seed);
    const RoutingPlan& plan = random.plan;
    const RoutingShape& s = plan.shape();
    for_each_block(s, [&](RoutingStep step, std::int32_t source) {
      const auto assignment = plan.experts_of(step, source);
      const auto range = plan.tokens_of(step.chunk);
      REQUIRE(assignment.size() == static_cast<std::size_t>((range.last - range.first) * s.top_k));
      std::vector<std::int64_t> count(static_cast<std::size_t>(s.experts), 0);
      for (std::size_t first = 0; first < assignment.size(); first += static_cast<std::size_t>(s.top_k)) {
        std::set<std::int32_t> held;
        bool dropped = false;
        for (std::size_t i = first; i < first + static_cast<std::size_t>(s.top_k); ++i) {
          dropped = dropped || assignment[i] == RoutingPlan::no_expert;
          CHECK(dropped == (assignment[i] == RoutingPlan::no_expert));  // dropped choices stand last
          if (dropped) continue;
          CHECK(held.insert(assignment[i]).second);
          ++count[static_cast<std::size_t>(assignment[i])];
        }
      }
      for (std::int32_t e = 0; e < s.experts; ++e) CHECK(count[static_cast<std::size_t>(e)] == plan.rows(step, source, e));
    });
  }
}

TEST_CASE("tokens spread over nodes as under drawing without replacement") {
  struct Case { int experts, top_k, nodes; };
  for (const Case c : {Case{64, 2, 16}, Case{256, 8, 8}, Case{8, 2, 4}}) {
    const RoutingPlan plan = one_block(c.experts, c.top_k, 8192, 5);
    const double mean = mean_distinct_nodes(plan.experts_of({}, 1), c.experts, static_cast<std::size_t>(c.top_k), c.nodes);
    CHECK(mean == doctest::Approx(expected_distinct_nodes(c.experts, c.top_k, c.nodes)).epsilon(0.02));
  }
}

// Under drawing without replacement each of the E(E−1)/2 pairs is held by n · k(k−1) / (E(E−1)) tokens, nearly Poisson: chi² over pairs
// is about their number P, with a standard deviation of sqrt(2P).
TEST_CASE("pairs of experts meet in a token as often as under drawing without replacement") {
  const int experts = 16;
  const std::size_t top_k = 4, tokens = 4096;
  const auto assignment = one_block(experts, 4, 4096, 9).experts_of({}, 0);
  std::vector<double> pairs(static_cast<std::size_t>(experts * experts), 0);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t i = 0; i < top_k; ++i) {
      for (std::size_t j = 0; j < top_k; ++j)
        pairs[static_cast<std::size_t>(assignment[t * top_k + i] * experts + assignment[t * top_k + j])] += 1;
    }
  }
  const double expected = 4096.0 * 4 * 3 / (experts * (experts - 1)), pair_count = experts * (experts - 1) / 2.0;
  double chi_squared = 0;
  for (int a = 0; a < experts; ++a) {
    for (int b = 0; b < a; ++b) chi_squared += std::pow(pairs[static_cast<std::size_t>(a * experts + b)] - expected, 2) / expected;
  }
  CHECK(chi_squared < pair_count + 5 * std::sqrt(2 * pair_count));
  CHECK(chi_squared > 0.25 * pair_count);  // far below would be a pattern, not chance
}

TEST_CASE("the assignment is a function of seed, step and source alone") {
  const RoutingPlan plan = one_block(16, 4, 64, 3);
  CHECK(plan.experts_of({}, 0) == one_block(16, 4, 64, 3).experts_of({}, 0));
  CHECK(plan.experts_of({}, 0) != plan.experts_of({}, 1));
  CHECK(plan.experts_of({}, 0) != one_block(16, 4, 64, 4).experts_of({}, 0));
}

}  // namespace fabricast::ir::routing_assignment_test
