// How far the ends of flows move where they may end together: the bounds that FlowNetwork's header and `--fidelity flow` promise.
#include "sim/flow_network.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/sim/random.hpp"

namespace fabricast::flow_network_accuracy_test {

using namespace fabricast;

namespace {

struct Start {
  SimTime at;
  std::vector<LinkId> links;
  Bytes bytes;
  sim::FlowOwner owner;
};

struct Case {
  std::vector<BytesPerSecond> capacity;
  std::vector<Start> starts;
};

constexpr std::uint32_t start_kind = 0, network_kind = 1;

std::vector<SimTime> ends_of(const Case& it, sim::Patience patience) {
  sim::Engine engine;
  sim::FlowNetwork network(engine, network_kind, it.capacity, {.patience = patience});
  std::vector<SimTime> ends(it.starts.size());
  for (std::size_t i = 0; i < it.starts.size(); ++i) engine.schedule(it.starts[i].at, {start_kind, static_cast<std::uint32_t>(i), 0});
  engine.run([&](const sim::Event& event) {
    if (network.owns(event)) {
      for (const sim::FlowTag flow : network.handle(event)) ends[flow] = engine.now();
    } else {
      const Start& start = it.starts[event.subject];
      network.start(network.add_path(start.links), start.bytes, event.subject, start.owner);
    }
  });
  return ends;
}

struct Errors {
  double flow = 0.0, owner = 0.0;   // largest, as shares of the time since their start
};

Errors errors_of(const Case& it) {
  const std::vector<SimTime> exact = ends_of(it, sim::exact_completions), patient = ends_of(it, sim::patient_completions);
  Errors errors;
  const auto share = [](SimTime a, SimTime b, SimTime start) {
    return b > start ? std::abs(static_cast<double>((a - b).value())) / static_cast<double>((b - start).value()) : 0.0;
  };
  std::vector<SimTime> exact_last(8), patient_last(8), start(8);
  for (std::size_t f = 0; f < exact.size(); ++f) {
    errors.flow = std::max(errors.flow, share(patient[f], exact[f], it.starts[f].at));
    const sim::FlowOwner owner = it.starts[f].owner;
    exact_last[owner] = std::max(exact_last[owner], exact[f]);
    patient_last[owner] = std::max(patient_last[owner], patient[f]);
    start[owner] = it.starts[f].at;
  }
  for (std::size_t owner = 0; owner < start.size(); ++owner) {
    errors.owner = std::max(errors.owner, share(patient_last[owner], exact_last[owner], start[owner]));
  }
  return errors;
}

/// hosts with 50 GB/s up and down, in racks of 4 behind uplinks of `uplink` of what their hosts could send.
struct Fabric {
  int hosts;
  double uplink;
  [[nodiscard]] std::vector<BytesPerSecond> capacity() const {
    std::vector<BytesPerSecond> result(2 * hosts, BytesPerSecond(50e9));
    result.resize(2 * hosts + 2 * (hosts / 4), BytesPerSecond(200e9 * uplink));
    return result;
  }
  [[nodiscard]] std::vector<LinkId> route(int source, int destination) const {
    std::vector<LinkId> links{LinkId{source}};
    if (source / 4 != destination / 4) {
      links.push_back(LinkId{2 * hosts + source / 4});
      links.push_back(LinkId{2 * hosts + hosts / 4 + destination / 4});
    }
    links.push_back(LinkId{hosts + destination});
    return links;
  }
};

/// Adds an all-to-all among every `step`-th host from `first` on.
template <class Size>
void add_all_to_all(Case& it, const Fabric& fabric, int first, int step, SimTime at, sim::FlowOwner owner, Size size) {
  for (int source = first; source < fabric.hosts; source += step) {
    for (int destination = first; destination < fabric.hosts; destination += step) {
      if (source != destination) it.starts.push_back({at, fabric.route(source, destination), Bytes(size(source, destination)), owner});
    }
  }
}

void check(const Case& it) {
  const Errors errors = errors_of(it);
  CHECK(errors.owner <= 1e-3);
  CHECK(errors.flow <= 1e-2);
}

}  // namespace

TEST_CASE("an all-to-all of sizes drawn from U(0.5, 1.5) ends within 0.1 %, its flows within 1 %") {
  tests::Random random(1);
  for (const double uplink : {1.0, 0.5, 0.2}) {
    const Fabric fabric{24, uplink};
    Case it{fabric.capacity(), {}};
    add_all_to_all(it, fabric, 0, 1, SimTime(0), 0, [&](int, int) { return random.between(1'280'000, 3'840'000); });
    check(it);
  }
}

// Destination d draws 1/(1+d) of the rows, and a few more or less per pair; and the same with sources.
TEST_CASE("so does one with popular destinations, and one with busy sources") {
  tests::Random random(2);
  for (const double uplink : {1.0, 0.3}) {
    const Fabric fabric{24, uplink};
    Case popular{fabric.capacity(), {}}, busy = popular;
    add_all_to_all(popular, fabric, 0, 1, SimTime(0), 0, [&](int, int d) { return 8192 * (4000 / (1 + d) + random.between(0, 40)); });
    add_all_to_all(busy, fabric, 0, 1, SimTime(0), 0, [&](int s, int) { return 8192 * (4000 / (1 + s) + random.between(0, 40)); });
    check(popular);
    check(busy);
  }
}

// A long and a short one share every link; further ones join while they run.
TEST_CASE("so do several that share their links and start at different times") {
  tests::Random random(3);
  for (int i = 0; i < 6; ++i) {
    const Fabric fabric{16, i % 2 == 0 ? 1.0 : 0.4};
    Case it{fabric.capacity(), {}};
    const auto drawn = [&](std::int64_t mean) { return [&random, mean](int, int) { return random.between(mean / 2, 3 * mean / 2); }; };
    add_all_to_all(it, fabric, 0, 1, SimTime(0), 0, drawn(3'000'000));
    add_all_to_all(it, fabric, 0, 1, SimTime(0), 1, drawn(300'000));
    for (sim::FlowOwner owner = 2; owner < 6; ++owner) {
      add_all_to_all(it, fabric, static_cast<int>(owner) % 2, 2, SimTime(random.between(0, 900) * 1'000'000), owner, drawn(1'000'000));
    }
    check(it);
  }
}

// Two senders whose transfers meet at the same receivers, each begun when the one before has ended: ends that are moved by little would
// change who meets whom from then on. A flow that nobody waits for but its own owner is not moved at all.
TEST_CASE("a chain of transfers that are awaited one by one ends exactly when it does without patience") {
  constexpr std::size_t length = 40;
  const auto ends = [&](sim::Patience patience) {
    sim::Engine engine;
    sim::FlowNetwork network(engine, network_kind, std::vector<BytesPerSecond>(10, BytesPerSecond(50e9)), {.patience = patience});
    std::vector<SimTime> result(2 * length);
    const auto start = [&](std::size_t transfer) {
      const auto sender = static_cast<std::int32_t>(transfer / length), receiver = static_cast<std::int32_t>(2 + transfer % length % 8);
      network.start(network.add_path(std::vector<LinkId>{LinkId{sender}, LinkId{receiver}}), Bytes(1'000'000 + sender * 1000), transfer,
                    static_cast<sim::FlowOwner>(transfer));
    };
    start(0);
    start(length);
    engine.run([&](const sim::Event& event) {
      const auto ended = network.handle(event);
      for (const sim::FlowTag flow : std::vector<sim::FlowTag>(ended.begin(), ended.end())) {
        result[flow] = engine.now();
        if ((flow + 1) % length != 0) start(flow + 1);
      }
    });
    return result;
  };
  CHECK(ends(sim::patient_completions) == ends(sim::exact_completions));
}

}  // namespace fabricast::flow_network_accuracy_test
