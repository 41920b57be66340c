#include "sim/fair_rates.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "tests/sim/max_min_reference.hpp"
#include "tests/sim/random.hpp"

namespace fabricast::fair_rates_test {

using namespace fabricast;
using sim::FairRates;
using sim::FlowId;

namespace {

std::vector<BytesPerSecond> capacities(const std::vector<double>& values) {
  std::vector<BytesPerSecond> result;
  for (const double value : values) result.emplace_back(value);
  return result;
}

/// Rates beside the plain list of flows that they should be fair for.
class Pair {
 public:
  explicit Pair(std::vector<double> capacity) : rates(capacities(capacity)), capacity_(std::move(capacity)) {}

  FlowId add(const std::vector<int>& links) {
    std::vector<LinkId> ids;
    for (const int link : links) ids.push_back(LinkId{link});
    flows_.push_back({rates.add(rates.add_path(ids)), links});
    return flows_.back().id;
  }
  void remove(std::size_t place) {
    rates.remove(flows_[place].id);
    flows_.erase(flows_.begin() + static_cast<std::ptrdiff_t>(place));
  }
  [[nodiscard]] std::size_t size() const { return flows_.size(); }

  /// Every rate is that of the slow twin, every link's load the sum of its rates.
  [[nodiscard]] bool fair() const {
    std::vector<std::vector<int>> links_of;
    for (const Flow& flow : flows_) links_of.push_back(flow.links);
    const std::vector<double> expected = tests::max_min_reference(links_of, capacity_);
    std::vector<double> load(capacity_.size());
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      const double rate = rates.rate(flows_[i].id).value();
      if (rate != expected[i] && std::abs(rate - expected[i]) > 1e-8 * expected[i]) return false;
      for (const int link : flows_[i].links) load[link] += rate;
    }
    for (std::size_t link = 0; link < load.size(); ++link) {
      if (std::abs(rates.load(LinkId{static_cast<std::int32_t>(link)}).value() - load[link]) > 1e-8 * capacity_[link]) return false;
    }
    return true;
  }

  FairRates rates;

 private:
  struct Flow {
    FlowId id;
    std::vector<int> links;
  };
  std::vector<double> capacity_;
  std::vector<Flow> flows_;
};

std::set<FlowId> solved(FairRates& rates) {
  std::set<FlowId> flows;
  for (const auto& entry : rates.settle()) flows.insert(entry.flow);
  return flows;
}

std::vector<int> random_links(tests::Random& random, int links) {
  std::vector<int> route;
  for (int link = 0; link < links; ++link) {
    if (random.chance(35)) route.push_back(link);
  }
  return route;
}

/// A few flows come and go at each settlement; capacities from few values, so that ties are common, or from many.
void come_and_go(std::uint64_t seed, int most_links, std::int64_t most_flows) {
  tests::Random random(seed);
  const int links = static_cast<int>(random.between(1, most_links));
  const bool ties = random.chance(50);
  std::vector<double> capacity;
  for (int i = 0; i < links; ++i) capacity.push_back(1e9 * static_cast<double>(ties ? random.between(1, 3) : random.between(1, 1000)));
  Pair pair(capacity);
  for (int settlement = 0; settlement < 12; ++settlement) {
    for (std::int64_t i = random.between(0, 4); i > 0 && pair.size() > 0; --i) {
      pair.remove(static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(pair.size()) - 1)));
    }
    for (std::int64_t i = random.between(0, 6); i > 0 && static_cast<std::int64_t>(pair.size()) < most_flows; --i) {
      pair.add(random_links(random, links));
    }
    pair.rates.settle();
    CAPTURE(seed);
    CAPTURE(settlement);
    REQUIRE(pair.fair());
  }
}

}  // namespace

TEST_CASE("rates of flows that come and go are those of the slow twin after every settlement") {
  for (std::uint64_t seed = 0; seed < 1500; ++seed) come_and_go(seed, 6, 15);
}

TEST_CASE("the same with more links and flows, where changes reach far") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) come_and_go(1'000'000 + seed, 20, 60);
}

TEST_CASE("a removal on a link that is not full solves nobody again") {
  Pair pair({1e9, 10e9});
  pair.add({0, 1});
  pair.add({1});
  pair.add({0});
  (void)solved(pair.rates);
  pair.remove(2);  // link 0 was full: its other flow may rise, and then link 1's has less
  CHECK(solved(pair.rates).size() == 2);
  CHECK(pair.fair());
  Pair idle({1e9, 10e9, 1e9});
  idle.add({0, 1});
  idle.add({1, 2});
  idle.add({1, 2});
  (void)solved(idle.rates);
  idle.remove(0);  // link 1 carries 2 of 10 GB/s
  CHECK(solved(idle.rates).empty());
  CHECK(idle.fair());
}

TEST_CASE("a flow that joins takes from those with which it shares a full link, and from nobody else") {
  Pair pair({1e9, 10e9, 1e9});
  const FlowId a = pair.add({0, 1});
  pair.add({1, 2});
  (void)solved(pair.rates);
  const FlowId b = pair.add({0});
  CHECK(solved(pair.rates) == std::set<FlowId>{a, b});
  CHECK(pair.rates.rate(a) == BytesPerSecond(0.5e9));
}

TEST_CASE("components are flows that full links join") {
  Pair pair({1e9, 10e9, 1e9, 4e9});
  const FlowId a = pair.add({0, 1}), b = pair.add({1, 2}), c = pair.add({2}), d = pair.add({}), e = pair.add({3});
  std::vector<std::int32_t> component(5);
  for (const auto& entry : pair.rates.settle()) component[entry.flow.index()] = entry.component;
  CHECK(component[b.index()] == component[c.index()]);
  CHECK(std::set<std::int32_t>(component.begin(), component.end()).size() == 4);
  CHECK(component[a.index()] != component[b.index()]);
  CHECK(component[d.index()] != component[e.index()]);
}

TEST_CASE("links whose load changed are named once, and only they") {
  Pair pair({1e9, 2e9, 3e9});
  pair.add({0});
  pair.add({1});
  pair.rates.settle();
  CHECK(pair.rates.changed_links().size() == 2);
  pair.add({0});
  pair.rates.settle();
  REQUIRE(pair.rates.changed_links().size() == 1);
  CHECK(pair.rates.changed_links().front() == LinkId{0});
  pair.rates.settle();
  CHECK(pair.rates.changed_links().empty());
}

}  // namespace fabricast::fair_rates_test
