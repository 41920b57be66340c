#include "sim/block_exchange.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/collective_plan.hpp"
#include "sim/cost_model.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"
#include "tests/sim/worn_cluster.hpp"

namespace fabricast::block_exchange_test {

using namespace fabricast;

namespace {

hw::ClusterSpec worn_cluster(tests::Random& random) {
  hw::ClusterSpec cluster = tests::random_cluster(random);
  cluster.nodes = random.between(2, 6);
  cluster.fabric.nodes_per_leaf = random.between(1, 3);
  cluster.collectives.nvlink_ramp = {2.0, Bytes(100'000)};   // so that what a member sends in all tells in what each transfer costs
  tests::wear(cluster, random);
  return cluster;
}

template <class Value>
void shuffle(std::vector<Value>& values, tests::Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) {
    std::swap(values[i - 1], values[static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(i) - 1))]);
  }
}

/// As many GPUs of each of several nodes, whatever their slots, in any order.
std::vector<GpuId> random_group(const hw::ClusterSpec& cluster, tests::Random& random) {
  std::vector<std::int64_t> nodes, slots;
  for (std::int64_t node = 0; node < cluster.nodes; ++node) nodes.push_back(node);
  for (std::int64_t slot = 0; slot < cluster.node.gpus; ++slot) slots.push_back(slot);
  shuffle(nodes, random);
  nodes.resize(static_cast<std::size_t>(random.between(2, cluster.nodes)));
  const auto in_node = static_cast<std::size_t>(random.between(1, cluster.node.gpus));
  std::vector<GpuId> group;
  for (const std::int64_t node : nodes) {
    shuffle(slots, random);
    for (std::size_t i = 0; i < in_node; ++i) group.push_back(GpuId{static_cast<std::int32_t>(node * cluster.node.gpus + slots[i])});
  }
  shuffle(group, random);
  return group;
}

bool equal(std::span<const LinkId> a, std::span<const LinkId> b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

constexpr sim::StepDelay delay{Seconds(1e-6), Seconds(5e-6)};

/// Up to three kinds of senders and of receivers, some of which have nothing for one another.
hw::PieceTable random_table(std::size_t members, tests::Random& random) {
  hw::PieceTable table;
  const auto draw_kinds = [&](std::vector<std::int32_t>& kind_of) {
    const std::int64_t kinds = random.between(1, 3);
    for (std::size_t i = 0; i < members; ++i) kind_of.push_back(static_cast<std::int32_t>(random.between(0, kinds - 1)));
    return static_cast<std::int32_t>(kinds);
  };
  table.senders = draw_kinds(table.sends_as);
  table.receivers = draw_kinds(table.receives_as);
  for (std::int32_t i = 0; i < table.senders * table.receivers; ++i) table.pieces.emplace_back(random.chance(20) ? 0 : random.between(1, 1'000'000));
  return table;
}

sim::BlockExchange::Pieces priced(const hw::PieceTable& table) {
  sim::BlockExchange::Pieces pieces{table.sends_as, table.receives_as, table.receivers, {}};
  for (const Bytes piece : table.pieces) pieces.pieces.push_back({piece, piece + Bytes(10), piece + Bytes(20)});
  return pieces;
}

/// Checks what a block says of each of its transfers, and notes them; a transfer may be in one block only.
class Listing {
 public:
  Listing(const sim::BlockExchange& exchange, const hw::PieceTable& table, std::span<const GpuId> gpu_of, const hw::Topology& topology)
      : exchange_(exchange), table_(table), gpu_of_(gpu_of), topology_(topology) {}

  void add(const sim::TransferBlock& block) {
    std::vector<std::int32_t> received(block.destinations.size());
    std::int64_t all = 0;
    for (std::size_t s = 0; s < block.sources.size(); ++s) {
      std::int32_t sent = 0;
      for (std::size_t d = 0; d < block.destinations.size(); ++d) {
        if (!meet(block.sources[s], block.destinations[d], block.crosses_nodes)) continue;
        add(block.sources[s], block.destinations[d], block);
        ++sent;
        ++received[d];
      }
      REQUIRE(block.sent[s] == sent);
      all += sent;
    }
    REQUIRE(std::equal(received.begin(), received.end(), block.received.begin(), block.received.end()));
    REQUIRE(block.transfers == all);
  }

  [[nodiscard]] std::size_t size() const { return seen_.size(); }

 private:
  [[nodiscard]] bool meet(std::int32_t source, std::int32_t destination, bool across) const {
    return across ? topology_.node_of(gpu_of_[source]) != topology_.node_of(gpu_of_[destination]) : source != destination;
  }

  void add(std::int32_t source, std::int32_t destination, const sim::TransferBlock& block) {
    REQUIRE(seen_.emplace(source, destination).second);
    const hw::Route route = topology_.route(gpu_of_[source], gpu_of_[destination]);
    const auto links = route.links(), of_block = block.route.links();
    const auto out = exchange_.links_out(source, block.crosses_nodes), in = exchange_.links_in(destination, block.crosses_nodes);
    REQUIRE(links.size() == of_block.size());
    REQUIRE(equal(links.first(out.size()), out));
    REQUIRE(equal(links.last(in.size()), in));
    REQUIRE(equal(links.subspan(out.size(), links.size() - out.size() - in.size()),
                  of_block.subspan(out.size(), links.size() - out.size() - in.size())));
    REQUIRE(block.delay == delay.of(route.latency, block.crosses_nodes));
    REQUIRE(block.payload == table_.of(source, destination));
    REQUIRE(block.wire == block.payload + Bytes(block.crosses_nodes ? 20 : 10));
    REQUIRE(block.crosses_nodes == (topology_.node_of(gpu_of_[source]) != topology_.node_of(gpu_of_[destination])));
  }

  const sim::BlockExchange& exchange_;
  const hw::PieceTable& table_;
  std::span<const GpuId> gpu_of_;
  const hw::Topology& topology_;
  std::set<std::pair<std::int32_t, std::int32_t>> seen_;
};

}  // namespace

// A transfer for each pair that has a piece, whatever their ends are told apart by.
TEST_CASE("the blocks of an exchange hold every transfer once, with its route but for the links of its own ends") {
  int exchanges = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    const hw::ClusterSpec cluster = worn_cluster(random);
    const auto topology = tests::buildable(cluster);
    if (!topology) continue;
    const std::vector<GpuId> group = random_group(cluster, random);
    REQUIRE(sim::BlockExchange::applies(group, *topology) == (cluster.fabric.spine_choice != hw::SpineChoice::ecmp));
    if (!sim::BlockExchange::applies(group, *topology)) continue;
    ++exchanges;
    const hw::PieceTable table = random_table(group.size(), random);
    const sim::BlockExchange exchange(group, *topology, delay, priced(table));
    std::vector<std::uint64_t> colours;
    for (std::size_t i = 0; i < group.size(); ++i) colours.push_back(static_cast<std::uint64_t>(random.between(0, 2)));
    Listing listing(exchange, table, group, *topology);
    const auto colour = [&](std::int32_t member) { return colours[static_cast<std::size_t>(member)]; };
    const auto kind_of = [&](std::int32_t member, std::span<const LinkId>) { return sim::EndKind{colour(member)}; };
    exchange.for_each_block(kind_of, [&](const sim::TransferBlock& block) {
      for (const std::int32_t source : block.sources) REQUIRE(colour(source) == colour(block.source));
      for (const std::int32_t destination : block.destinations) REQUIRE(colour(destination) == colour(block.destination));
      listing.add(block);
    });
    std::size_t pieces = 0;
    for (std::int32_t source = 0; source < static_cast<std::int32_t>(group.size()); ++source) {
      for (std::int32_t destination = 0; destination < static_cast<std::int32_t>(group.size()); ++destination) {
        if (source != destination && table.of(source, destination) > Bytes{}) ++pieces;
      }
    }
    REQUIRE(listing.size() == pieces);
  }
  CHECK(exchanges > 50);
}

TEST_CASE("an exchange needs several nodes, as many members on each and a GPU for each") {
  const hw::Topology topology(tests::ideal_cluster(3, 4));
  CHECK(sim::BlockExchange::applies(std::vector{GpuId{0}, GpuId{3}, GpuId{9}, GpuId{8}}, topology));
  CHECK_FALSE(sim::BlockExchange::applies(std::vector{GpuId{0}, GpuId{3}, GpuId{8}}, topology));
  CHECK_FALSE(sim::BlockExchange::applies(std::vector{GpuId{4}, GpuId{5}}, topology));
  CHECK_FALSE(sim::BlockExchange::applies(std::vector{GpuId{0}, GpuId{0}, GpuId{4}, GpuId{4}}, topology));
}

/// Each transfer of the listed plan: payload, wire, delay.
using Planned = std::map<std::pair<std::int32_t, std::int32_t>, std::tuple<Bytes, Bytes, SimTime>>;

Planned listed_transfers(const sim::CollectivePlan& plan) {
  Planned planned;
  for (const sim::Launch& launch : plan.launches) {
    for (std::int32_t i = launch.first; i < launch.last; ++i) {
      const sim::PlannedTransfer& transfer = plan.transfers[static_cast<std::size_t>(i)];
      planned[{transfer.source, transfer.destination}] = {transfer.payload, transfer.wire, launch.delay};
    }
  }
  return planned;
}

Planned counted_transfers(const sim::BlockExchange& exchange, std::span<const GpuId> gpu_of, const hw::Topology& topology) {
  Planned planned;
  exchange.for_each_block([](std::int32_t, std::span<const LinkId>) { return sim::EndKind{}; }, [&](const sim::TransferBlock& block) {
    for (const std::int32_t source : block.sources) {
      for (const std::int32_t destination : block.destinations) {
        const bool across = topology.node_of(gpu_of[source]) != topology.node_of(gpu_of[destination]);
        if (source == destination || across != block.crosses_nodes) continue;
        planned[{source, destination}] = {block.payload, block.wire, block.delay};
      }
    }
  });
  return planned;
}

TEST_CASE("planned by kinds of members or by one count for each pair, an all-to-all has the same transfers, latency, floor and loads") {
  int exchanges = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    const hw::ClusterSpec cluster = worn_cluster(random);
    const auto topology = tests::buildable(cluster);
    if (!topology) continue;
    const sim::CostModel cost = sim::cost_model(cluster);
    std::vector<GpuId> group = random_group(cluster, random);
    if (random.chance(20)) group.pop_back();
    const hw::PieceTable table =
        random.chance(50) ? random_table(group.size(), random) : hw::equal_pieces(group.size(), Bytes(random.chance(10) ? 0 : 12345));
    using A = hw::CollectiveAlgorithm;
    const A algorithms[] = {A::automatic, A::flat, A::low_latency, A::hierarchical, A::pairwise, A::deduplicated};
    const A algorithm = algorithms[random.between(0, 5)];
    const sim::CollectiveRequest brief{hw::CollectiveKind::all_to_all, algorithm, group, {}, {Bytes(1), 1, 4}, table};
    sim::CollectiveRequest full = brief;
    full.table.reset();
    full.counts = hw::counts_of(table);
    const sim::CollectivePlan a = sim::plan_collective(brief, *topology, cost.collectives);
    const sim::CollectivePlan b = sim::plan_collective(full, *topology, cost.collectives);
    exchanges += a.exchange ? 1 : 0;
    REQUIRE(!b.exchange);
    if (a.exchange) REQUIRE(counted_transfers(*a.exchange, group, *topology) == listed_transfers(b));
    REQUIRE(a.base_latency == b.base_latency);
    REQUIRE(a.floor == b.floor);
    REQUIRE(a.loads.size() == b.loads.size());
    for (std::size_t i = 0; i < a.loads.size(); ++i) {
      REQUIRE(a.loads[i].streaming_multiprocessors == b.loads[i].streaming_multiprocessors);
      REQUIRE(a.loads[i].memory_bandwidth == b.loads[i].memory_bandwidth);
    }
  }
  CHECK(exchanges > 30);
}

}  // namespace fabricast::block_exchange_test
