// Invariants of the simulator over random schedules on random clusters.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "sim/simulate.hpp"
#include "strategies/ir/resolve.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"

namespace fabricast::random_replay_test {

using namespace fabricast;
using sim::Fidelity;

namespace {

constexpr std::uint64_t schedules = 400;

/// Calls visit(cluster, schedule) for each of a few hundred seeds.
template <class Visit>
void for_each_random_schedule(Visit visit) {
  for (std::uint64_t seed = 0; seed < schedules; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    const hw::ClusterSpec cluster = tests::random_cluster(random);
    tests::RandomSchedule made(random, cluster.gpus());
    visit(cluster, made.schedule());
  }
}

bool same(const ir::OpInterval& a, const ir::OpInterval& b) { return a.issued == b.issued && a.start == b.start && a.end == b.end; }

bool same(const ir::Trace& a, const ir::Trace& b) {
  for (std::size_t rank = 0; rank < a.ops.size(); ++rank) {
    for (std::size_t op = 0; op < a.ops[rank].size(); ++op) {
      if (!same(a.ops[rank][op], b.ops[rank][op])) return false;
    }
  }
  return a.ops.size() == b.ops.size();
}

/// Bytes that every GPU should send and receive, from the lowering alone.
struct Traffic { std::vector<Bytes> sent, received; };

Traffic traffic_of(const hw::ClusterSpec& cluster, const ir::Schedule& schedule) {
  const hw::Topology topology(cluster);
  const hw::CollectiveModel model(cluster.collectives);
  Traffic traffic{std::vector<Bytes>(schedule.ranks.size()), std::vector<Bytes>(schedule.ranks.size())};
  for (const ir::Instance& instance : ir::match_instances(schedule).all) {
    const ir::InstanceMember first = instance.members.front();
    const auto collective = ir::resolve_collective(schedule, first.rank, schedule.program_of(first.rank).ops[first.op.index()]);
    std::vector<NodeId> nodes;
    const auto gpu = [&](std::int32_t member) { return schedule.ranks[collective.members[member].index()].gpu; };
    for (std::size_t m = 0; m < collective.members.size(); ++m) nodes.push_back(topology.node_of(gpu(static_cast<std::int32_t>(m))));
    if (nodes.size() < 2) continue;
    const hw::CollectiveAlgorithm algorithm = model.choose(collective.kind, collective.algorithm, nodes);
    for (const hw::Phase& phase : hw::lower(collective.kind, algorithm, nodes, collective.counts)) {
      for (const hw::Transfer& transfer : phase.transfers) {
        traffic.sent[gpu(transfer.source).index()] += transfer.bytes;
        traffic.received[gpu(transfer.destination).index()] += transfer.bytes;
      }
    }
  }
  return traffic;
}

/// Payload on the links that leave (enter) each GPU.
Traffic traffic_on_links(const hw::ClusterSpec& cluster, const std::vector<Bytes>& link_bytes) {
  const hw::Topology topology(cluster);
  const auto gpus = static_cast<std::size_t>(topology.gpus());
  Traffic traffic{std::vector<Bytes>(gpus), std::vector<Bytes>(gpus)};
  for (std::size_t link = 0; link < link_bytes.size(); ++link) {
    const hw::Link& wire = topology.links()[link];
    if (topology.vertices()[wire.from.index()] == hw::VertexKind::gpu) traffic.sent[wire.from.index()] += link_bytes[link];
    if (topology.vertices()[wire.to.index()] == hw::VertexKind::gpu) traffic.received[wire.to.index()] += link_bytes[link];
  }
  return traffic;
}

}  // namespace

// simulate() itself throws PhysicsError below the floor; this checks it from outside, at both fidelities.
TEST_CASE("no collective of a random schedule ends before its byte floor") {
  for_each_random_schedule([](const hw::ClusterSpec& cluster, const ir::Schedule& schedule) {
    for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flow}) {
      for (const sim::InstanceInterval& ran : tests::replay(cluster, schedule, {.fidelity = fidelity}).instances) {
        REQUIRE(tests::seconds(ran.end - ran.start) >= ran.floor.value() - 1e-12);
      }
    }
  });
}

TEST_CASE("in a random schedule what links carry is what GPUs send, and that is what GPUs receive") {
  for_each_random_schedule([](const hw::ClusterSpec& cluster, const ir::Schedule& schedule) {
    const Traffic expected = traffic_of(cluster, schedule);
    for (const Fidelity fidelity : {Fidelity::bound, Fidelity::flow}) {
      const Traffic carried = traffic_on_links(cluster, tests::replay(cluster, schedule, {.fidelity = fidelity}).link_bytes);
      REQUIRE(carried.sent == expected.sent);
      REQUIRE(carried.received == expected.received);
    }
    REQUIRE(std::accumulate(expected.sent.begin(), expected.sent.end(), Bytes{}) ==
            std::accumulate(expected.received.begin(), expected.received.end(), Bytes{}));
  });
}

TEST_CASE("in a random schedule no op starts before what it waits for has ended, and ops of a stream do not overlap") {
  for_each_random_schedule([](const hw::ClusterSpec& cluster, const ir::Schedule& schedule) {
    const ir::Trace trace = tests::replay(cluster, schedule).trace;
    for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
      const auto& ops = schedule.program_of(Rank{static_cast<std::int32_t>(r)}).ops;
      std::vector<SimTime> free(3);
      for (std::size_t i = 0; i < ops.size(); ++i) {
        const ir::OpInterval& ran = trace.ops[r][i];
        SimTime ready = free[ops[i].stream.index()];
        for (const ir::OpIndex before : ops[i].after) ready = std::max(ready, trace.ops[r][before.index()].end);
        REQUIRE(ran.issued == ready);
        REQUIRE(ran.issued <= ran.start);
        REQUIRE(ran.start <= ran.end);
        free[ops[i].stream.index()] = ran.end;
      }
    }
  });
}

TEST_CASE("a random schedule simulated twice gives the same trace, rates and counts") {
  for_each_random_schedule([](const hw::ClusterSpec& cluster, const ir::Schedule& schedule) {
    const sim::SimulateOptions options{.record_link_rates = true};
    const auto a = tests::replay(cluster, schedule, options), b = tests::replay(cluster, schedule, options);
    REQUIRE(same(a.trace, b.trace));
    REQUIRE(a.events == b.events);
    REQUIRE(a.link_rates.size() == b.link_rates.size());
    for (std::size_t i = 0; i < a.link_rates.size(); ++i) {
      REQUIRE(a.link_rates[i].time == b.link_rates[i].time);
      REQUIRE(a.link_rates[i].link == b.link_rates[i].link);
      REQUIRE(a.link_rates[i].rate == b.link_rates[i].rate);
    }
  });
}

TEST_CASE("two simulations at once in one process give what each gives alone") {
  tests::Random random(1);
  const hw::ClusterSpec cluster = tests::ideal_cluster(4, 4);
  tests::RandomSchedule one(random, cluster.gpus()), other(random, cluster.gpus());
  const auto alone = tests::replay(cluster, one.schedule());
  for (int i = 0; i < 20; ++i) {
    sim::SimulationResult beside;
    std::thread thread([&] { beside = tests::replay(cluster, other.schedule()); });
    const auto together = tests::replay(cluster, one.schedule());
    thread.join();
    REQUIRE(same(together.trace, alone.trace));
    REQUIRE(same(beside.trace, tests::replay(cluster, other.schedule()).trace));
  }
}

TEST_CASE("recording rates does not change a random schedule, and no link is above its capacity") {
  for_each_random_schedule([](const hw::ClusterSpec& cluster, const ir::Schedule& schedule) {
    const auto silent = tests::replay(cluster, schedule);
    const auto recorded = tests::replay(cluster, schedule, {.record_link_rates = true});
    REQUIRE(same(silent.trace, recorded.trace));
    const hw::Topology topology(cluster);
    for (const sim::LinkRate& step : recorded.link_rates) {
      REQUIRE(step.rate.value() <= topology.links()[step.link.index()].bandwidth.value() * (1 + 1e-9));
    }
  });
}

// With zero latencies every time is a quotient of bytes or FLOP and rate, rounded up to a picosecond: a few hundred of them per step.
TEST_CASE("all rates times four and latencies zero: a random schedule takes a quarter of the time") {
  for_each_random_schedule([](hw::ClusterSpec cluster, const ir::Schedule& schedule) {
    cluster.node.nvlink_latency = cluster.fabric.nic_latency = cluster.fabric.switch_latency = Seconds(0);
    cluster.collectives = tests::ideal_collectives();
    const double slow = tests::seconds(tests::last_end(tests::replay(cluster, schedule).trace));
    tests::scale_rates(cluster, 4.0);
    const double fast = tests::seconds(tests::last_end(tests::replay(cluster, schedule).trace));
    REQUIRE(std::abs(slow - 4.0 * fast) <= 1e-9);
  });
}

}  // namespace fabricast::random_replay_test
