#include "sim/max_min.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/sim/max_min_reference.hpp"
#include "tests/sim/random.hpp"

namespace fabricast::max_min_test {

using namespace fabricast;
using sim::MaxMinSolver;

namespace {

using LinksOf = std::vector<std::vector<int>>;

std::vector<double> in_bytes_per_second(const sim::MaxMinProblem& problem) {
  std::vector<double> result;
  for (const sim::Rate rate : problem.rates()) result.push_back(sim::to_bytes_per_second(rate).value());
  return result;
}

/// weights[flow]: of the flow on each of its links; empty: 1.
sim::MaxMinProblem pose(const LinksOf& links_of, const std::vector<double>& capacity, const std::vector<std::int32_t>& weights = {}) {
  sim::MaxMinProblem problem;
  for (const double c : capacity) problem.add_link(sim::to_rate(BytesPerSecond(c)));
  for (std::size_t flow = 0; flow < links_of.size(); ++flow) {
    std::vector<sim::Crossing> crossings;
    for (const int link : links_of[flow]) crossings.push_back({link, weights.empty() ? 1 : weights[flow]});
    problem.add_flow(crossings);
  }
  problem.index_flows();
  return problem;
}

std::vector<double> solve(MaxMinSolver& solver, const LinksOf& links_of, const std::vector<double>& capacity) {
  sim::MaxMinProblem problem = pose(links_of, capacity);
  solver.solve(problem);
  return in_bytes_per_second(problem);
}

std::vector<double> solve(const LinksOf& links_of, const std::vector<double>& capacity) {
  MaxMinSolver solver;
  return solve(solver, links_of, capacity);
}

struct Instance {
  LinksOf links_of;
  std::vector<double> capacity;
};

/// Up to 12 flows over up to 6 links; capacities from few values, so that ties are common, or from many.
Instance random_instance(tests::Random& random) {
  Instance instance;
  const bool ties = random.chance(50);
  const std::int64_t links = random.between(1, 6), flows = random.between(1, 12);
  for (std::int64_t i = 0; i < links; ++i) {
    instance.capacity.push_back(1e9 * static_cast<double>(ties ? random.between(1, 3) : random.between(1, 1'000)));
  }
  for (std::int64_t f = 0; f < flows; ++f) {
    std::vector<int> route;
    for (int link = 0; link < links; ++link) {
      if (random.chance(40)) route.push_back(link);
    }
    std::reverse(route.begin(), route.begin() + random.between(0, static_cast<std::int64_t>(route.size())));
    instance.links_of.push_back(route);
  }
  return instance;
}

std::vector<double> loads(const Instance& instance, const std::vector<double>& rates) {
  std::vector<double> load(instance.capacity.size(), 0.0);
  for (std::size_t f = 0; f < rates.size(); ++f) {
    for (const int link : instance.links_of[f]) load[link] += rates[f];
  }
  return load;
}

constexpr double rounding = 1e-9;   // rates here are far above the 2^-16 B/s to which they are rounded down

bool crosses(const Instance& instance, std::size_t flow, int link) {
  const auto& route = instance.links_of[flow];
  return std::find(route.begin(), route.end(), link) != route.end();
}

/// A full link on which no flow is faster than this one.
bool has_bottleneck(const Instance& instance, const std::vector<double>& rates, const std::vector<double>& load, std::size_t flow) {
  return std::any_of(instance.links_of[flow].begin(), instance.links_of[flow].end(), [&](int link) {
    if (load[link] < instance.capacity[link] * (1 - rounding)) return false;
    for (std::size_t other = 0; other < rates.size(); ++other) {
      if (crosses(instance, other, link) && rates[other] > rates[flow] * (1 + rounding)) return false;
    }
    return true;
  });
}

}  // namespace

// rate = capacity / flows.
TEST_CASE("flows over one link share it evenly") {
  CHECK(solve({{0}, {0}, {0}, {0}}, {100.0}) == std::vector<double>{25.0, 25.0, 25.0, 25.0});
}

// Links of 10 and 4; flow 0 crosses both, flow 1 the first, flow 2 the second: 2, 8, 2.
TEST_CASE("what a flow cannot use for a bottleneck elsewhere goes to the others") {
  CHECK(solve({{0, 1}, {0}, {1}}, {10.0, 4.0}) == std::vector<double>{2.0, 8.0, 2.0});
}

// A chain of links a, b, c with one long flow and one short flow on each: the long one gets half of the narrowest link.
TEST_CASE("a long flow over a chain gets its share of the narrowest link and leaves the rest") {
  CHECK(solve({{0, 1, 2}, {0}, {1}, {2}}, {10.0, 6.0, 8.0}) == std::vector<double>{3.0, 7.0, 3.0, 5.0});
}

TEST_CASE("a flow that crosses no link is not bounded") {
  CHECK(solve({{}, {0}}, {5.0}) == std::vector<double>{std::numeric_limits<double>::infinity(), 5.0});
}

TEST_CASE("no flows, no rates") { CHECK(solve({}, {1.0, 2.0}).empty()); }

// 60 flows share each of 60 links in each of two layers: capacity / 60 for all, rounded down to 2^-16 B/s, bit by bit.
TEST_CASE("flows that are alike get the same bits") {
  LinksOf links_of;
  for (int source = 0; source < 60; ++source) {
    for (int destination = 0; destination < 60; ++destination) links_of.push_back({source, 60 + destination});
  }
  const std::vector<double> rates = solve(links_of, std::vector<double>(120, 50e9));
  CHECK(rates == std::vector<double>(3600, std::floor(50e9 / 60 * 0x1p16) / 0x1p16));
}

// Link 1 offers (3e9 + 1) / 3, a part in 10^10 above link 0's share: the same level.
TEST_CASE("shares that differ by rounding are one level") {
  CHECK(solve({{0, 1}, {1}, {1}}, {1e9, 3e9 + 0.1}) == std::vector<double>{1e9, 1e9, 1e9});
  CHECK(solve({{0, 1}, {1}, {1}}, {1e9, 3e9 + 3.0}) == std::vector<double>{1e9, 1e9 + 1.5, 1e9 + 1.5});
}

TEST_CASE("on random instances the rates are those of the slow twin, whatever was solved before") {
  tests::Random random(42);
  MaxMinSolver solver;
  for (int i = 0; i < 4000; ++i) {
    const Instance instance = random_instance(random);
    const std::vector<double> rates = solve(solver, instance.links_of, instance.capacity);
    const std::vector<double> expected = tests::max_min_reference(instance.links_of, instance.capacity);
    for (std::size_t f = 0; f < rates.size(); ++f) {
      CAPTURE(i);
      CAPTURE(f);
      REQUIRE((rates[f] == expected[f] || std::abs(rates[f] - expected[f]) <= rounding * expected[f]));
    }
  }
}

TEST_CASE("on random instances no link is above its capacity and every flow has a bottleneck on which it is among the fastest") {
  tests::Random random(43);
  MaxMinSolver solver;
  for (int i = 0; i < 4000; ++i) {
    const Instance instance = random_instance(random);
    const std::vector<double> rates = solve(solver, instance.links_of, instance.capacity);
    const std::vector<double> load = loads(instance, rates);
    CAPTURE(i);
    for (std::size_t link = 0; link < load.size(); ++link) REQUIRE(load[link] <= instance.capacity[link] * (1 + rounding));
    for (std::size_t f = 0; f < rates.size(); ++f) REQUIRE((instance.links_of[f].empty() || has_bottleneck(instance, rates, load, f)));
  }
}

TEST_CASE("a flow of weight w is w flows, to the bit") {
  tests::Random random(44);
  MaxMinSolver solver;
  for (int i = 0; i < 2000; ++i) {
    const Instance instance = random_instance(random);
    std::vector<std::int32_t> weights;
    LinksOf one_by_one;
    std::vector<std::size_t> of;
    for (std::size_t f = 0; f < instance.links_of.size(); ++f) {
      weights.push_back(static_cast<std::int32_t>(random.between(1, 5)));
      for (std::int32_t copy = 0; copy < weights.back(); ++copy) {
        one_by_one.insert(one_by_one.begin() + random.between(0, static_cast<std::int64_t>(one_by_one.size())), instance.links_of[f]);
      }
    }
    sim::MaxMinProblem folded = pose(instance.links_of, instance.capacity, weights);
    sim::MaxMinProblem unfolded = pose(one_by_one, instance.capacity);
    solver.solve(folded);
    solver.solve(unfolded);
    for (std::size_t f = 0; f < one_by_one.size(); ++f) {
      const auto same = std::find(instance.links_of.begin(), instance.links_of.end(), one_by_one[f]) - instance.links_of.begin();
      CAPTURE(i);
      REQUIRE(unfolded.rates()[f] == folded.rates()[same]);
    }
  }
}

TEST_CASE("taking the solution up where flows were removed gives what solving afresh gives, to the bit") {
  tests::Random random(45);
  MaxMinSolver solver;
  for (int i = 0; i < 2000; ++i) {
    const Instance instance = random_instance(random);
    sim::MaxMinProblem problem = pose(instance.links_of, instance.capacity);
    solver.solve(problem);
    std::vector<std::size_t> left;
    for (std::size_t f = 0; f < instance.links_of.size(); ++f) left.push_back(f);
    while (left.size() > 1) {
      const auto place = random.between(0, static_cast<std::int64_t>(left.size()) - 1);
      problem.remove(static_cast<std::int32_t>(left[place]));
      left.erase(left.begin() + place);
      if (random.chance(30)) continue;
      solver.solve(problem);
      LinksOf links_of;
      for (const std::size_t f : left) links_of.push_back(instance.links_of[f]);
      sim::MaxMinProblem afresh = pose(links_of, instance.capacity);
      solver.solve(afresh);
      CAPTURE(i);
      for (std::size_t f = 0; f < left.size(); ++f) REQUIRE(problem.rates()[left[f]] == afresh.rates()[f]);
    }
  }
}

/// Some of the flows that are left, at a half of their rates or more.
void hold_some(const sim::MaxMinProblem& problem, const std::vector<std::size_t>& left, tests::Random& random, std::vector<std::int32_t>& held,
               std::vector<sim::Rate>& rates) {
  for (const std::size_t flow : left) {
    const sim::Rate rate = problem.rates()[flow];
    if (rate == sim::unlimited_rate || !random.chance(30)) continue;
    held.push_back(static_cast<std::int32_t>(flow));
    rates.push_back(random.chance(30) ? rate : sim::Rate(rate.value() / 1000 * random.between(500, 1000)));
  }
}

TEST_CASE("holding flows where a solution is known gives what holding them afresh gives, to the bit, and so does what is solved after it") {
  tests::Random random(46);
  MaxMinSolver solver;
  for (int i = 0; i < 3000; ++i) {
    CAPTURE(i);
    const Instance instance = random_instance(random);
    sim::MaxMinProblem problem = pose(instance.links_of, instance.capacity);
    std::vector<std::size_t> left;
    for (std::size_t f = 0; f < instance.links_of.size(); ++f) left.push_back(f);
    while (!left.empty()) {
      LinksOf links_of;
      for (const std::size_t f : left) links_of.push_back(instance.links_of[f]);
      sim::MaxMinProblem fair = pose(links_of, instance.capacity), around = pose(links_of, instance.capacity);
      solver.solve(problem);
      solver.solve(fair);
      for (std::size_t f = 0; f < left.size(); ++f) REQUIRE(problem.rates()[left[f]] == fair.rates()[f]);
      std::vector<std::int32_t> held, held_afresh;
      std::vector<sim::Rate> rates;
      hold_some(problem, left, random, held, rates);
      for (const std::int32_t flow : held) {
        held_afresh.push_back(static_cast<std::int32_t>(std::find(left.begin(), left.end(), flow) - left.begin()));
      }
      solver.solve_around(problem, held, rates);
      solver.solve_around(around, held_afresh, rates);
      for (std::size_t f = 0; f < left.size(); ++f) REQUIRE(problem.rates()[left[f]] == around.rates()[f]);
      if (held.empty()) held.push_back(static_cast<std::int32_t>(left.front()));
      if (random.chance(20)) continue;
      for (const std::int32_t flow : held) {
        problem.remove(flow);
        left.erase(std::find(left.begin(), left.end(), static_cast<std::size_t>(flow)));
      }
    }
  }
}

// Two flows on a link of 10, one held at 2: the other gets 8. Then both are fair again.
TEST_CASE("a held flow keeps its rate and the others share what it leaves") {
  MaxMinSolver solver;
  sim::MaxMinProblem problem = pose({{0}, {0}, {1}}, {10.0, 4.0});
  solver.solve(problem);
  const std::vector<std::int32_t> held{0};
  const std::vector<sim::Rate> rates{sim::to_rate(BytesPerSecond(2.0))};
  solver.solve_around(problem, held, rates);
  CHECK(in_bytes_per_second(problem) == std::vector<double>{2.0, 8.0, 4.0});
  solver.solve(problem);
  CHECK(in_bytes_per_second(problem) == std::vector<double>{5.0, 5.0, 4.0});
}

}  // namespace fabricast::max_min_test
