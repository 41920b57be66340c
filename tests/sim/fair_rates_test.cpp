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

  /// Every rate is that of the slow twin.
  [[nodiscard]] bool fair() const {
    std::vector<std::vector<int>> links_of;
    for (const Flow& flow : flows_) links_of.push_back(flow.links);
    const std::vector<double> expected = tests::max_min_reference(links_of, capacity_);
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      const double rate = sim::to_bytes_per_second(rates.rate(flows_[i].id)).value();
      if (rate != expected[i] && std::abs(rate - expected[i]) > 1e-8 * expected[i]) return false;
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

/// Of the components that were solved again.
std::set<FlowId> solved(FairRates& rates) {
  std::set<FlowId> flows;
  for (const sim::ComponentId component : rates.settle()) {
    for (const FlowId flow : rates.members(component)) {
      if (flow != FairRates::no_flow) flows.insert(flow);
    }
  }
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

// Link 1 could carry all three flows at the rate of link 0 or 2: what happens on one side does not reach the other.
TEST_CASE("a change does not cross a link that its flows cannot fill") {
  Pair pair({1e9, 10e9, 1e9});
  const FlowId a = pair.add({0, 1});
  pair.add({0});
  pair.add({1, 2});
  pair.add({1, 2});
  CHECK(solved(pair.rates).size() == 4);
  CHECK(pair.rates.components() == 2);
  pair.remove(1);
  CHECK(solved(pair.rates) == std::set<FlowId>{a});
  CHECK(pair.rates.rate(a) == sim::to_rate(BytesPerSecond(1e9)));
  CHECK(pair.fair());
}

TEST_CASE("a flow that joins is solved with those that it shares a link with, and with nobody else") {
  Pair pair({1e9, 10e9, 1e9});
  const FlowId a = pair.add({0, 1});
  pair.add({1, 2});
  (void)solved(pair.rates);
  const FlowId b = pair.add({0});
  CHECK(solved(pair.rates) == std::set<FlowId>{a, b});
  CHECK(pair.rates.rate(a) == sim::to_rate(BytesPerSecond(0.5e9)));
}

// a and b depend on each other through link 0, b and c through link 1: without b they do not.
TEST_CASE("a component falls apart where the flow that holds it together leaves") {
  Pair pair({1e9, 1e9, 1e9});
  const FlowId a = pair.add({0});
  pair.add({0, 1});
  const FlowId c = pair.add({1});
  CHECK(solved(pair.rates).size() == 3);
  CHECK(pair.rates.components() == 1);
  pair.remove(1);
  CHECK(solved(pair.rates) == std::set<FlowId>{a, c});
  CHECK(pair.rates.components() == 2);
  CHECK(pair.fair());
}

TEST_CASE("rates do not depend on how the flows came about, to the bit") {
  tests::Random random(46);
  for (int i = 0; i < 300; ++i) {
    std::vector<double> capacity;
    for (int link = 0; link < 6; ++link) capacity.push_back(static_cast<double>(random.between(1, 1'000'000'000)));
    std::vector<std::vector<int>> routes;
    for (int flow = 0; flow < 12; ++flow) routes.push_back(random_links(random, 6));
    FairRates at_once(capacities(capacity)), bit_by_bit(capacities(capacity));
    std::vector<FlowId> first, second;
    const auto add = [](FairRates& rates, const std::vector<int>& links) {
      std::vector<LinkId> ids;
      for (const int link : links) ids.push_back(LinkId{link});
      return rates.add(rates.add_path(ids));
    };
    for (const auto& links : routes) first.push_back(add(at_once, links));
    at_once.settle();
    for (std::size_t flow = routes.size(); flow-- > 0;) {
      const FlowId passing = add(bit_by_bit, random_links(random, 6));
      bit_by_bit.settle();
      second.insert(second.begin(), add(bit_by_bit, routes[flow]));
      bit_by_bit.remove(passing);
      bit_by_bit.settle();
    }
    for (std::size_t flow = 0; flow < routes.size(); ++flow) REQUIRE(at_once.rate(first[flow]) == bit_by_bit.rate(second[flow]));
  }
}

}  // namespace fabricast::fair_rates_test
