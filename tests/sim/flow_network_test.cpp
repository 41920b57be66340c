#include "sim/flow_network.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "tests/sim/flow_network_reference.hpp"
#include "tests/sim/random.hpp"

namespace fabricast::flow_network_test {

using namespace fabricast;
using sim::Engine;
using sim::Event;
using sim::FlowNetwork;

namespace {

constexpr std::uint32_t start_kind = 0, network_kind = 1;

struct Start {
  SimTime at;
  std::vector<int> links;
  Bytes bytes;
};

struct Outcome {
  std::vector<SimTime> ends;             // by flow
  std::vector<sim::LinkRate> rates;
  std::uint64_t events = 0;
};

std::vector<BytesPerSecond> capacities(const std::vector<double>& values) {
  std::vector<BytesPerSecond> result;
  for (const double value : values) result.emplace_back(value);
  return result;
}

/// One simulation, stepped from outside.
class Network {
 public:
  Network(const std::vector<double>& capacity, std::vector<Start> starts, sim::Patience patience)
      : network_(engine_, network_kind, capacities(capacity), {.patience = patience, .record_rates = true}),
        starts_(std::move(starts)) {
    outcome_.ends.assign(starts_.size(), SimTime(-1));
    for (std::size_t i = 0; i < starts_.size(); ++i) engine_.schedule(starts_[i].at, {start_kind, static_cast<std::uint32_t>(i), 0});
  }

  bool step() {
    return engine_.step([this](const Event& event) {
      if (network_.owns(event)) {
        for (const sim::FlowTag tag : network_.handle(event)) {
          REQUIRE(outcome_.ends[tag] == SimTime(-1));  // a flow ends once
          outcome_.ends[tag] = engine_.now();
        }
        return;
      }
      const Start& start = starts_[event.subject];
      std::vector<LinkId> links;
      for (const int link : start.links) links.push_back(LinkId{link});
      network_.start(network_.add_path(links), start.bytes, event.subject);
    });
  }

  Outcome run() {
    while (step()) {
    }
    return outcome();
  }

  [[nodiscard]] Outcome outcome() {
    REQUIRE(network_.active_flows() == 0);
    outcome_.rates = network_.recorded_rates();
    outcome_.events = engine_.events_run();
    return outcome_;
  }

 private:
  Engine engine_;
  FlowNetwork network_;
  std::vector<Start> starts_;
  Outcome outcome_;
};

Outcome run(const std::vector<double>& capacity, const std::vector<Start>& starts, sim::Patience patience = sim::exact_completions) {
  return Network(capacity, starts, patience).run();
}

/// Flows that come and go over a handful of links.
std::vector<Start> random_starts(tests::Random& random, int links) {
  std::vector<Start> starts;
  const std::int64_t flows = random.between(1, 14);
  for (std::int64_t i = 0; i < flows; ++i) {
    Start start{SimTime(random.between(0, 4) * 1'000'000'000), {}, Bytes(random.between(0, 6) * random.between(1, 1000) * 1000)};
    for (int link = 0; link < links; ++link) {
      if (random.chance(40)) start.links.push_back(link);
    }
    starts.push_back(start);
  }
  return starts;
}

/// Every source sends to every other; rows(source, destination) rows of 8 KiB; links 0 … n-1 go up, n … 2n-1 down, 50 GB/s each.
template <class Rows>
std::vector<Start> all_to_all(int hosts, Rows rows) {
  std::vector<Start> starts;
  for (int source = 0; source < hosts; ++source) {
    for (int destination = 0; destination < hosts; ++destination) {
      if (source != destination) starts.push_back({SimTime(0), {source, hosts + destination}, Bytes(8192 * rows(source, destination))});
    }
  }
  return starts;
}

SimTime last(const std::vector<SimTime>& times) { return *std::max_element(times.begin(), times.end()); }

double seconds(SimTime time) { return to_seconds(time).value(); }

/// ∫ rate dt over the recorded steps, by link.
std::map<LinkId, double> carried(const std::vector<sim::LinkRate>& rates) {
  std::map<LinkId, double> bytes;
  std::map<LinkId, sim::LinkRate> current;
  for (const sim::LinkRate& step : rates) {
    if (const auto before = current.find(step.link); before != current.end()) {
      bytes[step.link] += before->second.rate.value() * seconds(step.time - before->second.time);
    }
    current[step.link] = step;
  }
  for (const auto& [link, step] : current) REQUIRE(step.rate == BytesPerSecond(0.0));
  return bytes;
}

std::map<LinkId, double> asked_for(const std::vector<Start>& starts) {
  std::map<LinkId, double> bytes;
  for (const Start& start : starts) {
    for (const int link : start.links) bytes[LinkId{link}] += static_cast<double>(start.bytes.value());
  }
  return bytes;
}

}  // namespace

// t = bytes / bandwidth: 3000 B at 2 GB/s take 1,500,000 ps.
TEST_CASE("a flow is not done one picosecond before bytes / bandwidth, and done then") {
  Engine engine;
  FlowNetwork network(engine, network_kind, capacities({2e9}));
  network.start(network.add_path(std::vector<LinkId>{LinkId{0}}), Bytes(3000), 7);
  engine.schedule(SimTime(1'499'999), {start_kind, 0, 0});
  bool looked = false;
  engine.run([&](const Event& event) {
    if (!network.owns(event)) {
      looked = true;
      CHECK(network.active_flows() == 1);
    } else if (network.handle(event).size() == 1) {
      CHECK(engine.now() == SimTime(1'500'000));
    }
  });
  CHECK(looked);
  CHECK(network.active_flows() == 0);
}

// 1 B at 3 B/s takes 333,333,333,333.3 ps.
TEST_CASE("a time that is no whole number of picoseconds is rounded up") {
  CHECK(run({3.0}, {{SimTime(0), {0}, Bytes(1)}}).ends.front() == SimTime(333'333'333'334));
}

// Equal flows: both at 2·b/B. Sizes s < b: the small one at 2·s/B, the other at (s + b)/B.
TEST_CASE("two flows share a link until one ends, then the other has it alone") {
  const auto equal = run({1e9}, {{SimTime(0), {0}, Bytes(1000)}, {SimTime(0), {0}, Bytes(1000)}});
  CHECK(equal.ends == std::vector<SimTime>{SimTime(2'000'000), SimTime(2'000'000)});
  const auto unequal = run({1e9}, {{SimTime(0), {0}, Bytes(1000)}, {SimTime(0), {0}, Bytes(3000)}});
  CHECK(unequal.ends == std::vector<SimTime>{SimTime(2'000'000), SimTime(4'000'000)});
}

// The first flow moves 1000 B alone, then both run at half: 3000 = 1000 + 2000 at 1/2, so it ends at 5 µs; the other when all is moved.
TEST_CASE("a flow that starts later takes its share from then on") {
  const auto outcome = run({1e9}, {{SimTime(0), {0}, Bytes(3000)}, {SimTime(1'000'000), {0}, Bytes(2500)}});
  CHECK(outcome.ends == std::vector<SimTime>{SimTime(5'000'000), SimTime(5'500'000)});
}

// Links of 10, 6 and 8 GB/s; the long flow gets 3, the short ones 7, 3 and 5 (see max_min_test): 30, 70, 30 and 50 kB end together.
TEST_CASE("on a chain with a shared bottleneck, sizes in proportion to the max-min rates end together") {
  const auto outcome = run({10e9, 6e9, 8e9}, {{SimTime(0), {0, 1, 2}, Bytes(30000)},
                                               {SimTime(0), {0}, Bytes(70000)},
                                               {SimTime(0), {1}, Bytes(30000)},
                                               {SimTime(0), {2}, Bytes(50000)}});
  CHECK(outcome.ends == std::vector<SimTime>(4, SimTime(10'000'000)));
}

TEST_CASE("a flow without bytes or without links ends when it starts") {
  const auto outcome = run({1e9}, {{SimTime(5), {0}, Bytes(0)}, {SimTime(6), {}, Bytes(1'000'000)}, {SimTime(5), {0}, Bytes(10)}});
  CHECK(outcome.ends == std::vector<SimTime>{SimTime(5), SimTime(6), SimTime(10'005)});
}

// Each flow of link 1: start, settle, complete, settle. Link 0's only flow: the same four, however busy link 1 is.
TEST_CASE("a change leaves components that it does not touch alone") {
  std::vector<Start> starts{{SimTime(0), {0}, Bytes(1'000'000)}};
  for (int i = 1; i <= 100; ++i) starts.push_back({SimTime(i * 2'000'000), {1}, Bytes(1000)});
  const auto outcome = run({1e9, 1e9}, starts);
  CHECK(outcome.events == 4 * starts.size());
  CHECK(outcome.ends.front() == SimTime(1'000'000'000));
}

TEST_CASE("changes at one time are settled once") {
  std::vector<Start> starts;
  for (int i = 0; i < 50; ++i) starts.push_back({SimTime(100), {i % 5}, Bytes(1000)});
  // 50 starts, one settlement, five completions, one settlement after them.
  CHECK(run(std::vector<double>(5, 1e9), starts).events == 57);
}

// Each solution rounds an end up by less than 1 ps, and at most three per flow precede it here.
TEST_CASE("exact completions are those of the slow twin, picosecond by picosecond") {
  tests::Random random(7);
  for (int i = 0; i < 1500; ++i) {
    const int links = static_cast<int>(random.between(1, 5));
    std::vector<double> capacity;
    for (int link = 0; link < links; ++link) capacity.push_back(static_cast<double>(random.between(1, 4)) * 1e9);
    const std::vector<Start> starts = random_starts(random, links);
    std::vector<tests::ReferenceFlow> reference;
    for (const Start& start : starts) reference.push_back({seconds(start.at), static_cast<double>(start.bytes.value()), start.links});
    const std::vector<double> expected = tests::flow_ends_reference(reference, capacity);
    const Outcome outcome = run(capacity, starts);
    for (std::size_t f = 0; f < starts.size(); ++f) {
      CAPTURE(i);
      CAPTURE(f);
      const double difference = static_cast<double>(outcome.ends[f].value()) - expected[f] * 1e12;
      REQUIRE(std::abs(difference) <= 3.0 * static_cast<double>(starts.size()));
    }
  }
}

// ∫ rate dt = bytes, each end rounded up by less than 1 ps per solution.
TEST_CASE("recorded rates carry exactly the bytes of the flows, and never more than a link's capacity") {
  tests::Random random(8);
  for (int i = 0; i < 300; ++i) {
    const std::vector<double> capacity{1e9, 2e9, 3e9};
    const std::vector<Start> starts = random_starts(random, 3);
    const Outcome outcome = run(capacity, starts);
    const auto bytes = carried(outcome.rates);
    for (const auto& [link, asked] : asked_for(starts)) {
      const double moved = bytes.contains(link) ? bytes.at(link) : 0.0;
      REQUIRE(std::abs(moved - asked) <= 3e9 * 1e-12 * static_cast<double>(starts.size() * starts.size()) + asked * 1e-12);
    }
    for (const sim::LinkRate& step : outcome.rates) REQUIRE(step.rate.value() <= capacity[step.link.index()] * (1 + 1e-9));
    REQUIRE(std::is_sorted(outcome.rates.begin(), outcome.rates.end(), [](const auto& a, const auto& b) { return a.time < b.time; }));
  }
}

// t >= bytes / capacity for a flow alone on its link, t >= Σ bytes / capacity for the last on the busiest link.
TEST_CASE("ending together lets no flow end before its bytes have passed and puts no link above its capacity") {
  tests::Random random(9);
  for (int i = 0; i < 300; ++i) {
    const std::vector<double> capacity(6, 1e9);
    const auto starts = all_to_all(3, [&](int, int) { return random.between(1, 1000); });
    const Outcome outcome = run(capacity, starts, {.of_flow = 0.2, .before_end = 1.0});
    for (const sim::LinkRate& step : outcome.rates) REQUIRE(step.rate.value() <= 1e9);
    double busiest = 0.0;
    for (const auto& [link, bytes] : asked_for(starts)) busiest = std::max(busiest, bytes);
    REQUIRE(static_cast<double>(last(outcome.ends).value()) >= busiest * 1e3 * (1 - 1e-12));
    for (std::size_t f = 0; f < starts.size(); ++f) REQUIRE(outcome.ends[f].value() >= starts[f].bytes.value() * 1000);
  }
}

// Two flows of 1000 and 1010 B at 1 GB/s in all. Fair: 2.00 and 2.01 µs. With patience the first waits for the second's fair end under
// equal rates, 2.02 µs; with less than 1 % of it, it does not.
TEST_CASE("flows end together within their patience and not beyond") {
  const std::vector<Start> starts{{SimTime(0), {0}, Bytes(1000)}, {SimTime(0), {0}, Bytes(1010)}};
  const sim::Patience one_percent{0.01, 1.0}, less{0.0099, 1.0};
  CHECK(run({1e9}, starts, one_percent).ends == std::vector<SimTime>(2, SimTime(2'020'000)));
  CHECK(run({1e9}, starts, less).ends == std::vector<SimTime>{SimTime(2'000'000), SimTime(2'010'000)});
}

// The first two could end together at 2 · (1000 + 1005) / 2 ... but what is left for the third is dealt out at once: it ends when all bytes
// have passed, at (1000 + 1005 + 3000) B / 1 GB/s, as without patience.
TEST_CASE("what flows that wait for each other leave is used by the others at once") {
  const std::vector<Start> starts{{SimTime(0), {0}, Bytes(1000)}, {SimTime(0), {0}, Bytes(1005)}, {SimTime(0), {0}, Bytes(3000)}};
  const Outcome patient = run({1e9}, starts, {.of_flow = 0.01, .before_end = 1.0});
  CHECK(patient.ends[0] == patient.ends[1]);
  CHECK(std::abs(patient.ends[2].value() - 5'005'000) <= 2);
}

TEST_CASE("sizes that differ by a row cost a handful of solutions, not one per flow") {
  const auto starts = all_to_all(64, [](int source, int destination) { return 312 + (source * 32 + destination) % 2; });
  const Outcome outcome = run(std::vector<double>(128, 50e9), starts, sim::patient_completions);
  CHECK(outcome.events < starts.size() + 50);
}

TEST_CASE("two networks in interleaved engines do what each does alone") {
  tests::Random random(10);
  const std::vector<double> capacity{1e9, 2e9, 3e9};
  const std::vector<Start> a = random_starts(random, 3), b = random_starts(random, 3);
  Network network_a(capacity, a, sim::patient_completions), network_b(capacity, b, sim::patient_completions);
  for (bool more = true; more;) {
    const bool a_ran = network_a.step();
    const bool b_ran = network_b.step();
    more = a_ran || b_ran;
  }
  CHECK(network_a.outcome().ends == run(capacity, a, sim::patient_completions).ends);
  CHECK(network_b.outcome().ends == run(capacity, b, sim::patient_completions).ends);
}

}  // namespace fabricast::flow_network_test
