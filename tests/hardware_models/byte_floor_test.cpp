#include "hardware_models/byte_floor.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "tests/hardware_models/test_cluster.hpp"

namespace fabricast::byte_floor_test {

using namespace fabricast;
using namespace fabricast::tests;
using hw::byte_floor;
using hw::CollectiveAlgorithm;
using hw::CollectiveKind;
using hw::FabricKind;
using hw::Topology;

namespace {

constexpr double nvlink = 450e9, nic = 50e9;

/// `count` GPUs: first, first + stride, …
std::vector<GpuId> gpus(std::int32_t first, std::int32_t count, std::int32_t stride = 1) {
  std::vector<GpuId> result;
  for (std::int32_t i = 0; i < count; ++i) result.push_back(GpuId{first + i * stride});
  return result;
}

std::vector<Bytes> filled(std::size_t count, std::int64_t bytes) { return std::vector<Bytes>(count, Bytes(bytes)); }

hw::ClusterSpec cluster_of(FabricKind kind, std::int64_t nodes, std::int64_t nodes_per_leaf, double oversubscription) {
  hw::ClusterSpec cluster = h100_16x8();
  cluster.nodes = nodes;
  cluster.fabric.kind = kind;
  cluster.fabric.nodes_per_leaf = nodes_per_leaf;
  cluster.fabric.oversubscription = oversubscription;
  return cluster;
}

double floor_seconds(CollectiveKind kind, const std::vector<GpuId>& group, const std::vector<Bytes>& counts, const Topology& topology) {
  return byte_floor(kind, group, counts, topology).value();
}

doctest::Approx approximately(double value) { return doctest::Approx(value).epsilon(1e-12); }

/// splitmix64 (Steele, Lea and Flood, OOPSLA 2014): the same sequence everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::int64_t below(std::int64_t bound) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<std::int64_t>((z ^ (z >> 31)) % static_cast<std::uint64_t>(bound));
  }

 private:
  std::uint64_t state_;
};

std::vector<GpuId> random_group(Random& random, const Topology& topology) {
  std::vector<GpuId> all = gpus(0, static_cast<std::int32_t>(topology.gpus()));
  for (std::size_t i = all.size() - 1; i > 0; --i) std::swap(all[i], all[random.below(static_cast<std::int64_t>(i) + 1)]);
  all.resize(2 + random.below(12));
  return all;
}

/// Whole nodes, so that two_level and hierarchical apply; `per_node` slots of each.
std::vector<GpuId> regular_group(Random& random, const Topology& topology) {
  const std::int64_t per_node = 1 + random.below(topology.gpus_per_node()), nodes = 2 + random.below(topology.nodes() - 1);
  std::vector<GpuId> group;
  for (std::int64_t i = 0; i < nodes * per_node; ++i) {
    group.push_back(GpuId{static_cast<std::int32_t>(i / per_node * topology.gpus_per_node() + i % per_node)});
  }
  return group;
}

std::vector<Bytes> random_counts(Random& random, CollectiveKind kind, std::size_t n) {
  const std::size_t count = kind == CollectiveKind::all_to_all ? n * n
                            : kind == CollectiveKind::all_gather || kind == CollectiveKind::reduce_scatter ? n : 1;
  std::vector<Bytes> counts;
  for (std::size_t i = 0; i < count; ++i) counts.push_back(Bytes(random.below(4) == 0 ? 0 : random.below(1 << 20)));
  return counts;
}

hw::Route route_of(const hw::Transfer& transfer, const std::vector<GpuId>& group, const Topology& topology) {
  const auto place = [](std::int32_t end) { return end == hw::node_switch ? hw::SwitchPlace::node : hw::SwitchPlace::network; };
  if (hw::is_switch(transfer.source)) return topology.from_switch(group[transfer.destination], place(transfer.source));
  if (hw::is_switch(transfer.destination)) return topology.to_switch(group[transfer.source], place(transfer.destination));
  return topology.route(group[transfer.source], group[transfer.destination]);
}

/// The least time of the lowered collective on its real routes: each phase, and all that are pipelined with it, as long as the most loaded
/// link.
double least_time(const std::vector<hw::Phase>& phases, const std::vector<GpuId>& group, const Topology& topology) {
  double seconds = 0;
  for (std::size_t next = 0; next < phases.size();) {
    std::vector<Bytes> load(topology.links().size());
    do {
      for (const hw::Transfer& transfer : phases[next].transfers) {
        const hw::Route route = route_of(transfer, group, topology);
        for (const LinkId link : route.links()) load[link.index()] += transfer.bytes;
      }
    } while (++next < phases.size() && phases[next].pipelined);
    double longest = 0;
    for (std::size_t i = 0; i < load.size(); ++i) longest = std::max(longest, (load[i] / topology.links()[i].bandwidth).value());
    seconds += longest;
  }
  return seconds;
}

constexpr CollectiveKind ring_kinds[] = {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                                         CollectiveKind::broadcast};

}  // namespace

// The worked example of EP 64 x TP 2: GPUs 0, 2, … 126 each send 10,000 tokens · top-2 · 8,192 B = 163.84 MB evenly to 64 members;
// 60/64 leave the node: 153.6 MB per NIC / 50 GB/s = 3.072 ms
TEST_CASE("the expert group's dispatch has a floor of 3.072 ms") {
  const Topology topology(h100_16x8());
  const auto counts = filled(64 * 64, 10000 * 2 * 8192 / 64);
  CHECK(floor_seconds(CollectiveKind::all_to_all, gpus(0, 64, 2), counts, topology) == approximately(3.072e-3));
  CHECK(floor_seconds(CollectiveKind::all_to_all, gpus(1, 64, 2), counts, topology) == approximately(3.072e-3));
}

// The attention pair: S/2 over each NVLink, whatever else the cluster has; reduce-scatter mirrors it
TEST_CASE("a pair's all-gather in one node moves half the tensor over NVLink") {
  const Topology topology(h100_16x8());
  const std::int64_t size = 163'840'000;
  for (const CollectiveKind kind : {CollectiveKind::all_gather, CollectiveKind::reduce_scatter}) {
    CHECK(floor_seconds(kind, gpus(6, 2), filled(2, size / 2), topology) == approximately(static_cast<double>(size) / 2 / nvlink));
  }
}

// one node of n: 2(n-1)/n · S / NVLink; N nodes of g: 2(N-1)/N · S / (g · NIC) once that exceeds the GPU cut, 2(n-1)/n · S / (NVLink + NIC)
TEST_CASE("an all-reduce is bound by its NVLinks in a node and by the nodes' NICs across") {
  const Topology topology(h100_16x8());
  const double size = 1e9;
  for (const std::int32_t n : {2, 3, 8}) {
    const double expected = 2.0 * (n - 1) / n * size / nvlink;
    CHECK(floor_seconds(CollectiveKind::all_reduce, gpus(8, n), filled(1, 1'000'000'000), topology) == approximately(expected));
  }
  for (const std::int32_t nodes : {2, 5, 16}) {
    const double members = 8.0 * nodes;
    const double node_cut = 2.0 * (nodes - 1) / nodes * size / (8 * nic), gpu_cut = 2.0 * (members - 1) / members * size / (nvlink + nic);
    CHECK((node_cut > gpu_cut) == (nodes > 2));
    const double expected = std::max(node_cut, gpu_cut);
    CHECK(floor_seconds(CollectiveKind::all_reduce, gpus(0, 8 * nodes), filled(1, 1'000'000'000), topology) == approximately(expected));
  }
}

// One member alone on its node must send and receive S over its one NIC: S / NIC > 2(N-1) S / Σ bandwidth = 2 S / (4 NIC)
TEST_CASE("an all-reduce is bound by its narrowest node") {
  const Topology topology(h100_16x8());
  const std::vector<GpuId> group = {GpuId{0}, GpuId{1}, GpuId{2}, GpuId{8}};
  CHECK(floor_seconds(CollectiveKind::all_reduce, group, filled(1, 1'000'000'000), topology) == approximately(1e9 / nic));
}

// Members 0 and 1 share a node, 8 is alone and has no use for its NVLink: 4 S / (2 (NVLink + NIC) + NIC); seen where NVLink is the narrower
TEST_CASE("a member alone on its node brings its NIC only") {
  hw::ClusterSpec cluster = h100_16x8();
  cluster.node.nvlink_bandwidth = BytesPerSecond(10e9);
  const std::vector<GpuId> group = {GpuId{0}, GpuId{1}, GpuId{8}};
  CHECK(floor_seconds(CollectiveKind::all_reduce, group, filled(1, 1000), Topology(cluster)) == approximately(4 * 1000 / 170e9));
}

// busbw = 2(n-1)/n · S/t. nccl-tests, 2 nodes of 8 H100 with 8 x 50 GB/s each, 1 to 8 GiB: 449.51 to 469.84 GB/s (oci-hpc repository,
// documentation/Troubleshooting.md). Above the 400 GB/s of the NICs, since S and not 2·15/16·S must leave a node: that cut allows 750.
// Without in-switch reduction the GPU cut allows NVLink + NIC = 500.
TEST_CASE("published all-reduce rates of 16 GPUs on two nodes are legal, and more than NVLink and NIC together is not") {
  const Topology topology(cluster_of(FabricKind::rail_optimized, 2, 2, 1.0));
  const std::int64_t size = std::int64_t{1} << 30;
  const double floor = floor_seconds(CollectiveKind::all_reduce, gpus(0, 16), filled(1, size), topology);
  const auto seconds_at = [&](double busbw) { return hw::bus_factor(CollectiveKind::all_reduce, 16) * static_cast<double>(size) / busbw; };
  CHECK(floor >= static_cast<double>(size) / (8 * nic));
  CHECK(seconds_at(449.51e9) > floor);
  CHECK(seconds_at(469.84e9) > floor);
  CHECK(seconds_at(500.1e9) < floor);
}

// into node i: S - (its shards); out of it: its shards, once. Reduce-scatter the other way round.
TEST_CASE("an all-gather of unequal shards is bound by the node that lacks most, or holds most") {
  const Topology topology(h100_16x8());
  const std::vector<GpuId> group = {GpuId{0}, GpuId{1}, GpuId{8}};  // two NICs, one NIC
  const std::vector<Bytes> lacks_most = {Bytes(4000), Bytes(5000), Bytes(1000)}, holds_most = {Bytes(1000), Bytes(1000), Bytes(70000)};
  for (const CollectiveKind kind : {CollectiveKind::all_gather, CollectiveKind::reduce_scatter}) {
    CHECK(floor_seconds(kind, group, lacks_most, topology) == approximately(9000 / nic));
    CHECK(floor_seconds(kind, group, holds_most, topology) == approximately(70000 / nic));
  }
}

// S into each node without the root: S / (g · NIC); in a node S / NVLink
TEST_CASE("a broadcast brings the tensor once into every node") {
  const Topology topology(h100_16x8());
  CHECK(floor_seconds(CollectiveKind::broadcast, gpus(0, 32), filled(1, 8000), topology) == approximately(8000 / (8 * nic)));
  CHECK(floor_seconds(CollectiveKind::broadcast, gpus(0, 4, 8), filled(1, 8000), topology) == approximately(8000 / nic));
  CHECK(floor_seconds(CollectiveKind::broadcast, gpus(0, 4), filled(1, 8000), topology) == approximately(8000 / nvlink));
}

// m / NIC between nodes, also between unlike slots; m / NVLink in a node; m / PCIe where PCIe is the narrower
TEST_CASE("a send between nodes is priced by the NIC or PCIe, never by NVLink") {
  hw::ClusterSpec cluster = h100_16x8();
  const Topology topology(cluster);
  CHECK(floor_seconds(CollectiveKind::send, {GpuId{3}, GpuId{12}}, filled(1, 5000), topology) == approximately(5000 / nic));
  CHECK(floor_seconds(CollectiveKind::send, {GpuId{3}, GpuId{4}}, filled(1, 5000), topology) == approximately(5000 / nvlink));
  cluster.node.pcie_bandwidth = BytesPerSecond(20e9);
  CHECK(floor_seconds(CollectiveKind::send, {GpuId{3}, GpuId{12}}, filled(1, 5000), Topology(cluster)) == approximately(5000 / 20e9));
}

// Two leaves (pods) of L nodes, all GPUs: each sends half its bytes up; uplinks = NICs / o: floor = o · (S/2) / NIC, from o = 15/8 on,
// where it overtakes the node cut (120/128 of S / NIC)
TEST_CASE("a 2:1 oversubscribed fabric doubles the share of the all-to-all between its halves") {
  const auto counts = filled(128 * 128, 1000);
  const double sent = 128 * 1000;
  for (const FabricKind kind : {FabricKind::fat_tree, FabricKind::rail_optimized}) {
    for (const double oversubscription : {2.0, 4.0}) {
      const Topology topology(cluster_of(kind, 16, 8, oversubscription));
      CHECK(floor_seconds(CollectiveKind::all_to_all, gpus(0, 128), counts, topology) == approximately(oversubscription * sent / 2 / nic));
    }
    const Topology even(cluster_of(kind, 16, 8, 1.0));
    CHECK(floor_seconds(CollectiveKind::all_to_all, gpus(0, 128), counts, even) == approximately(sent * 120 / 128 / nic));
  }
}

// 2 of 8 rails: floor = o · (half of S leaves the pod) / NIC, since the other rails' uplinks cannot help; under a fat tree's leaf they do
TEST_CASE("members use the uplinks of their own leaves, and no more of them than their NICs fill") {
  const std::vector<GpuId> group = gpus(0, 32, 4);  // slots 0 and 4 of 16 nodes
  const auto counts = filled(32 * 32, 1000);
  const double sent = 32 * 1000;
  const Topology rails(cluster_of(FabricKind::rail_optimized, 16, 8, 4.0)), tree(cluster_of(FabricKind::fat_tree, 16, 8, 4.0));
  CHECK(floor_seconds(CollectiveKind::all_to_all, group, counts, rails) == approximately(4 * sent / 2 / nic));
  CHECK(floor_seconds(CollectiveKind::all_to_all, group, counts, tree) == approximately(sent * 30 / 32 / nic));
}

// Pods of 8 nodes, uplinks 8 · NIC / 4 = 100 GB/s per rail. 8 members fill rail 0's uplinks, one on rail 1 brings its NIC: 150 GB/s.
// 9 members of each pod send 9 pieces to the other.
TEST_CASE("a rail with few members brings their NICs, one with many its uplinks") {
  const Topology rails(cluster_of(FabricKind::rail_optimized, 16, 8, 4.0));
  std::vector<GpuId> group = gpus(0, 16, 8);
  group.insert(group.end(), {GpuId{1}, GpuId{65}});
  const auto counts = filled(18 * 18, 1000);
  CHECK(floor_seconds(CollectiveKind::all_to_all, group, counts, rails) == approximately(81 * 1000 / 150e9));
}

TEST_CASE("groups of one, and collectives of no bytes, have no floor") {
  const Topology topology(h100_16x8());
  for (const CollectiveKind kind : ring_kinds) {
    CHECK(floor_seconds(kind, {GpuId{5}}, filled(1, 1000), topology) == 0);
    const bool per_member = kind == CollectiveKind::all_gather || kind == CollectiveKind::reduce_scatter;
    CHECK(floor_seconds(kind, gpus(0, 16), filled(per_member ? 16 : 1, 0), topology) == 0);
  }
  CHECK(floor_seconds(CollectiveKind::all_to_all, {GpuId{5}}, filled(1, 1000), topology) == 0);
  std::vector<Bytes> own_only = filled(16 * 16, 0);
  for (std::size_t i = 0; i < 16; ++i) own_only[i * 16 + i] = Bytes(1000);
  CHECK(floor_seconds(CollectiveKind::all_to_all, gpus(0, 16), own_only, topology) == 0);
}

// floor(c · bandwidths) = floor / c, exactly for c a power of two
TEST_CASE("floors scale with the inverse of all bandwidths") {
  Random random(7);
  for (const double c : {0.25, 2.0, 8.0}) {
    hw::ClusterSpec cluster = cluster_of(FabricKind::fat_tree, 6, 2, 3.0), scaled = cluster;
    scaled.node.nvlink_bandwidth = c * cluster.node.nvlink_bandwidth;
    scaled.node.pcie_bandwidth = c * cluster.node.pcie_bandwidth;
    scaled.fabric.nic_bandwidth = c * cluster.fabric.nic_bandwidth;
    const Topology before(cluster), after(scaled);
    for (int repeat = 0; repeat < 40; ++repeat) {
      const auto group = random_group(random, before);
      for (const CollectiveKind kind : ring_kinds) {
        const auto counts = random_counts(random, kind, group.size());
        CHECK(floor_seconds(kind, group, counts, after) == floor_seconds(kind, group, counts, before) / c);
      }
    }
  }
}

// Σ phases of max over links of bytes/bandwidth >= floor, on whatever fabric, placement, sizes and algorithm
TEST_CASE("no lowered collective beats its floor") {
  Random random(42);
  int compared = 0;
  for (const FabricKind kind : {FabricKind::rail_optimized, FabricKind::fat_tree}) {
    for (const double oversubscription : {0.5, 1.0, 3.0, 16.0}) {
      const Topology topology(cluster_of(kind, 7, 2, oversubscription));
      for (int repeat = 0; repeat < 60; ++repeat) {
        const auto group = repeat % 2 ? random_group(random, topology) : regular_group(random, topology);
        std::vector<NodeId> node_of;
        for (const GpuId gpu : group) node_of.push_back(topology.node_of(gpu));
        for (const CollectiveKind collective : {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                                                CollectiveKind::broadcast, CollectiveKind::all_to_all}) {
          const auto counts = random_counts(random, collective, group.size());
          const double floor = floor_seconds(collective, group, counts, topology);
          for (const CollectiveAlgorithm algorithm : {CollectiveAlgorithm::ring, CollectiveAlgorithm::two_level, CollectiveAlgorithm::flat,
                                                      CollectiveAlgorithm::hierarchical, CollectiveAlgorithm::pairwise,
                                                      CollectiveAlgorithm::tree, CollectiveAlgorithm::rail_ring}) {
            if (!applies(collective, algorithm, node_of)) continue;
            CHECK(least_time(lower(collective, algorithm, node_of, counts), group, topology) >= floor * (1 - 1e-12));
            ++compared;
          }
        }
      }
    }
  }
  CHECK(compared > 3000);
}

// The same where switches reduce: a part sends S at least, instead of 2(N-1)/N · S on average.
TEST_CASE("no all-reduce that switches reduce beats the floor of such switches, and some beat that of others") {
  Random random(7);
  auto cluster = cluster_of(FabricKind::rail_optimized, 7, 4, 1.0);
  const Topology plain(cluster);
  cluster.node.in_switch_reduction = cluster.fabric.in_network_reduction = true;
  const Topology reducing(cluster);
  int beaten = 0;
  for (int repeat = 0; repeat < 100; ++repeat) {
    const auto group = regular_group(random, reducing);
    const std::vector<GpuId> one_node(group.begin(), std::find_if(group.begin(), group.end(), [&](GpuId gpu) {
                                        return reducing.node_of(gpu) != reducing.node_of(group.front());
                                      }));
    const auto counts = random_counts(random, CollectiveKind::all_reduce, group.size());
    for (const auto& [algorithm, members] : {std::pair{CollectiveAlgorithm::nvls, one_node}, std::pair{CollectiveAlgorithm::nvls_tree, group},
                                             std::pair{CollectiveAlgorithm::sharp, group}}) {
      std::vector<NodeId> node_of;
      for (const GpuId gpu : members) node_of.push_back(reducing.node_of(gpu));
      if (!applies(CollectiveKind::all_reduce, algorithm, node_of)) continue;
      const double time = least_time(lower(CollectiveKind::all_reduce, algorithm, node_of, counts), members, reducing);
      CHECK(time >= floor_seconds(CollectiveKind::all_reduce, members, counts, reducing) * (1 - 1e-12));
      beaten += time < floor_seconds(CollectiveKind::all_reduce, members, counts, plain);
    }
  }
  CHECK(beaten > 20);
}

// ring in a node: 2(n-1)/n · S per NVLink = floor; even flat all-to-all on a non-blocking fabric: the NIC's bytes = floor
TEST_CASE("the best algorithms reach the floor") {
  const Topology topology(cluster_of(FabricKind::fat_tree, 16, 16, 1.0));
  const std::vector<NodeId> one_node(8);
  const auto reduced = filled(1, 8'000'000);
  CHECK(least_time(lower(CollectiveKind::all_reduce, CollectiveAlgorithm::ring, one_node, reduced), gpus(0, 8), topology) ==
        approximately(floor_seconds(CollectiveKind::all_reduce, gpus(0, 8), reduced, topology)));
  const auto group = gpus(0, 64, 2);
  std::vector<NodeId> node_of;
  for (const GpuId gpu : group) node_of.push_back(topology.node_of(gpu));
  const auto exchanged = filled(64 * 64, 2'560'000);
  CHECK(least_time(lower(CollectiveKind::all_to_all, CollectiveAlgorithm::flat, node_of, exchanged), group, topology) ==
        approximately(floor_seconds(CollectiveKind::all_to_all, group, exchanged, topology)));
}

TEST_CASE("a table of pieces gives the floor and the size of the counts that it stands for") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const Topology topology(cluster_of(seed % 2 == 0 ? FabricKind::fat_tree : FabricKind::rail_optimized, 6, 2, 3.0));
    const std::vector<GpuId> group = random_group(random, topology);
    hw::PieceTable table{{}, {}, static_cast<std::int32_t>(1 + random.below(3)), static_cast<std::int32_t>(1 + random.below(3)), {}};
    for (std::size_t member = 0; member < group.size(); ++member) {
      table.sends_as.push_back(static_cast<std::int32_t>(random.below(table.senders)));
      table.receives_as.push_back(static_cast<std::int32_t>(random.below(table.receivers)));
    }
    for (std::int32_t i = 0; i < table.senders * table.receivers; ++i) table.pieces.emplace_back(random.below(1 << 20));
    const std::vector<Bytes> all = hw::counts_of(table);
    CHECK(all.size() == group.size() * group.size());
    CHECK(all.back() == table.between(table.sends_as.back(), table.receives_as.back()));
    CHECK(hw::byte_floor(group, table, topology).value() == floor_seconds(CollectiveKind::all_to_all, group, all, topology));
    CHECK(hw::size_of(table) == hw::size_of(CollectiveKind::all_to_all, group.size(), all));
  }
}

}  // namespace fabricast::byte_floor_test
