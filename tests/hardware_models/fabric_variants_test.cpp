#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "hardware_models/byte_floor.hpp"
#include "hardware_models/config_error.hpp"
#include "hardware_models/equipment.hpp"
#include "hardware_models/topology.hpp"
#include "tests/hardware_models/test_cluster.hpp"

namespace fabricast::fabric_variants_test {

using namespace fabricast;
using namespace fabricast::tests;
using hw::ClusterSpec;
using hw::FabricKind;
using hw::LinkKind;
using hw::SpineChoice;
using hw::Topology;

namespace {

/// 8 nodes of 4 GPUs, 4 nodes to a leaf or pod, 4 spines: leaf 0 of the fat tree serves nodes 0 to 3.
ClusterSpec two_leaves(SpineChoice choice = SpineChoice::by_destination) {
  ClusterSpec cluster = h100_16x8();
  cluster.nodes = 8;
  cluster.node.gpus = 4;
  cluster.fabric.kind = FabricKind::fat_tree;
  cluster.fabric.nodes_per_leaf = 4;
  cluster.fabric.spine_choice = choice;
  return cluster;
}

GpuId gpu(std::int64_t number) { return GpuId{static_cast<std::int32_t>(number)}; }

/// The links of the kind that a route crosses.
std::vector<LinkId> links_of(const Topology& topology, GpuId source, GpuId destination, LinkKind kind) {
  std::vector<LinkId> found;
  const hw::Route route = topology.route(source, destination);
  for (const LinkId link : route.links()) {
    if (topology.links()[link.index()].kind == kind) found.push_back(link);
  }
  return found;
}

double bandwidth(const Topology& topology, LinkId link) { return topology.links()[link.index()].bandwidth.value(); }

double send_floor(const Topology& topology, GpuId source, GpuId destination, std::int64_t bytes) {
  const std::vector<GpuId> pair{source, destination};
  const std::vector<Bytes> counts{Bytes(bytes)};
  return hw::byte_floor(hw::CollectiveKind::send, pair, counts, topology).value();
}

std::string pointer_of_error(const ClusterSpec& cluster) {
  try {
    Topology topology(cluster);
  } catch (const hw::ConfigError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.pointer();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("GPUs that share a NIC share its links to the leaf, and each has a PCIe link of its own") {
  ClusterSpec cluster = two_leaves();
  cluster.node.nics = 2;
  const Topology topology(cluster);
  const auto first = links_of(topology, gpu(0), gpu(4), LinkKind::infiniband), second = links_of(topology, gpu(1), gpu(5), LinkKind::infiniband),
             third = links_of(topology, gpu(2), gpu(6), LinkKind::infiniband);
  CHECK(first == second);
  CHECK(first != third);
  CHECK(links_of(topology, gpu(0), gpu(4), LinkKind::pcie) != links_of(topology, gpu(1), gpu(5), LinkKind::pcie));
}

// Out of a node: Σ NICs, not Σ GPUs. 4 GPUs send 1 MB each through 2 NICs of 50 GB/s: 40 us.
TEST_CASE("the floor of a node counts a NIC once, however many GPUs it serves") {
  ClusterSpec cluster = two_leaves();
  cluster.node.nics = 2;
  const Topology topology(cluster);
  std::vector<GpuId> group;
  for (std::int64_t member = 0; member < 8; ++member) group.push_back(gpu(member));
  std::vector<Bytes> counts(64);
  for (std::size_t source = 0; source < 4; ++source) counts[source * 8 + source + 4] = Bytes(1'000'000);
  CHECK(hw::byte_floor(hw::CollectiveKind::all_to_all, group, counts, topology).value() == doctest::Approx(40e-6).epsilon(1e-12));
}

// A port of n NICs: n · NIC; one of them degraded to s: traffic is dealt evenly, n · s · NIC; f failed: (n − f) · NIC.
TEST_CASE("a GPU with several NICs is as fast as the slowest of them times those that work") {
  ClusterSpec cluster = two_leaves();
  cluster.node.nics = 8;
  cluster.node.pcie_bandwidth = BytesPerSecond(200e9);
  const auto port = [&] {
    const Topology topology(cluster);
    return bandwidth(topology, links_of(topology, gpu(0), gpu(4), LinkKind::infiniband).front());
  };
  CHECK(port() == doctest::Approx(100e9));
  cluster.faults.nics = {{0, 1, 0.25}};
  CHECK(port() == doctest::Approx(25e9));
  cluster.faults.nics = {{0, 1, 0.0}};
  CHECK(port() == doctest::Approx(50e9));
}

TEST_CASE("a GPU whose NIC has failed shares the nearest one that works") {
  ClusterSpec cluster = two_leaves();
  cluster.faults.nics = {{0, 0, 0.0}, {0, 1, 0.0}};
  const Topology topology(cluster);
  const auto shared = links_of(topology, gpu(2), gpu(6), LinkKind::infiniband).front();
  CHECK(links_of(topology, gpu(0), gpu(4), LinkKind::infiniband).front() == shared);
  CHECK(links_of(topology, gpu(1), gpu(5), LinkKind::infiniband).front() == shared);
  CHECK(links_of(topology, gpu(3), gpu(7), LinkKind::infiniband).front() != shared);
}

TEST_CASE("a degraded NIC bounds its GPU's transfers and their floor, another GPU's not") {
  ClusterSpec cluster = two_leaves();
  cluster.faults.nics = {{0, 1, 0.5}};
  const Topology topology(cluster);
  CHECK(send_floor(topology, gpu(1), gpu(5), 1'000'000) == doctest::Approx(40e-6));
  CHECK(send_floor(topology, gpu(5), gpu(1), 1'000'000) == doctest::Approx(40e-6));
  CHECK(send_floor(topology, gpu(0), gpu(4), 1'000'000) == doctest::Approx(20e-6));
}

TEST_CASE("a worn NVLink bounds its GPU's transfers in the node and their floor") {
  ClusterSpec cluster = two_leaves();
  cluster.faults.nvlinks = {{1, 2, 0.5}};
  const Topology topology(cluster);
  CHECK(send_floor(topology, gpu(6), gpu(4), 450'000) == doctest::Approx(2e-6));
  CHECK(send_floor(topology, gpu(4), gpu(5), 450'000) == doctest::Approx(1e-6));
}

// 16 NICs · 50 GB/s above the leaf, spread over all spines: one link.
TEST_CASE("adaptive routing makes the uplinks of a leaf one link") {
  const Topology topology(two_leaves(SpineChoice::adaptive));
  const auto up = links_of(topology, gpu(0), gpu(16), LinkKind::fabric).front();
  CHECK(bandwidth(topology, up) == doctest::Approx(16 * 50e9));
  for (std::int64_t other = 1; other < 16; ++other) CHECK(links_of(topology, gpu(other), gpu(16 + other), LinkKind::fabric).front() == up);
  ClusterSpec worn = two_leaves(SpineChoice::adaptive);
  worn.faults.uplinks = {{0, 1, 0.0}, {0, 2, 0.5}};
  const Topology after(worn);
  CHECK(bandwidth(after, links_of(after, gpu(0), gpu(16), LinkKind::fabric).front()) == doctest::Approx(16 * 50e9 * 2.5 / 4));
}

// Balls into bins: 16 flows hashed over 4 spines are rarely 4 each; by destination they always are.
TEST_CASE("hashing sends some flows of a leaf over the same spine, a seed always the same ones") {
  const auto loads = [](const Topology& topology) {
    std::vector<int> of_link(topology.links().size());
    for (std::int64_t g = 0; g < 16; ++g) ++of_link[links_of(topology, gpu(g), gpu(16 + g), LinkKind::fabric).front().index()];
    return of_link;
  };
  const auto most = [&](const Topology& topology) {
    const auto of_link = loads(topology);
    return *std::max_element(of_link.begin(), of_link.end());
  };
  CHECK(most(Topology(two_leaves())) == 4);
  std::set<std::vector<int>> seen;
  double sum = 0;
  ClusterSpec hashed = two_leaves(SpineChoice::ecmp);
  for (hashed.fabric.ecmp_seed = 0; hashed.fabric.ecmp_seed < 100; ++hashed.fabric.ecmp_seed) {
    const Topology topology(hashed);
    CHECK(loads(topology) == loads(Topology(hashed)));
    seen.insert(loads(topology));
    sum += most(topology);
  }
  CHECK(seen.size() > 50);   // of the ways in which 16 flows can be dealt to 4 spines
  CHECK(sum / 100 > 5.5);   // the expected maximum of 16 balls in 4 bins is 6.5
  CHECK(sum / 100 < 7.5);
}

TEST_CASE("a transfer whose spine has lost a link on its way takes another, others keep theirs") {
  const Topology before(two_leaves());
  ClusterSpec cluster = two_leaves();
  cluster.faults.uplinks = {{0, 2, 0.0}};
  const Topology after(cluster);
  int moved = 0;
  for (std::int64_t g = 0; g < 16; ++g) {
    const auto was = links_of(before, gpu(g), gpu(16 + g), LinkKind::fabric), is = links_of(after, gpu(g), gpu(16 + g), LinkKind::fabric);
    const std::string &old_name = before.links()[was.front().index()].name, &new_name = after.links()[is.front().index()].name;
    CHECK(new_name != "leaf 0 -> spine 2");
    if (old_name == "leaf 0 -> spine 2") ++moved;
    if (old_name != "leaf 0 -> spine 2") CHECK(new_name == old_name);
  }
  CHECK(moved == 4);
}

// Leaf 0 keeps 2 of 4 uplinks of 200 GB/s: 16 GPUs that send 1 MB each out of it need 16 MB / 400 GB/s = 40 us, not 20.
TEST_CASE("the floor of a leaf counts the uplinks that work") {
  for (const SpineChoice choice : {SpineChoice::by_destination, SpineChoice::ecmp, SpineChoice::adaptive}) {
    ClusterSpec cluster = two_leaves(choice);
    cluster.faults.uplinks = {{0, 0, 0.0}, {0, 3, 0.0}};
    const Topology topology(cluster);
    std::vector<GpuId> group;
    for (std::int64_t member = 0; member < 32; ++member) group.push_back(gpu(member));
    std::vector<Bytes> counts(32 * 32);
    for (std::size_t source = 0; source < 16; ++source) counts[source * 32 + source + 16] = Bytes(1'000'000);
    CHECK(hw::byte_floor(hw::CollectiveKind::all_to_all, group, counts, topology).value() == doctest::Approx(40e-6).epsilon(1e-9));
  }
}

TEST_CASE("nodes that differ have the links that their entry says") {
  ClusterSpec cluster = two_leaves();
  cluster.other_nodes.resize(1);
  cluster.other_nodes[0].first = 2;
  cluster.other_nodes[0].last = 3;
  cluster.other_nodes[0].nics = 2;
  cluster.other_nodes[0].nic_bandwidth = BytesPerSecond(25e9);
  cluster.other_nodes[0].nvlink_bandwidth = BytesPerSecond(300e9);
  const Topology topology(cluster);
  CHECK(send_floor(topology, gpu(8), gpu(0), 1'000'000) == doctest::Approx(40e-6));
  CHECK(send_floor(topology, gpu(4), gpu(0), 1'000'000) == doctest::Approx(20e-6));
  CHECK(send_floor(topology, gpu(8), gpu(9), 300'000) == doctest::Approx(1e-6));
  CHECK(links_of(topology, gpu(8), gpu(0), LinkKind::infiniband).front() == links_of(topology, gpu(9), gpu(0), LinkKind::infiniband).front());
}

TEST_CASE("GPUs of one specification and slowdown are one class") {
  ClusterSpec cluster = two_leaves();
  cluster.other_nodes.resize(1);
  cluster.other_nodes[0].first = cluster.other_nodes[0].last = 7;
  cluster.other_nodes[0].gpu = cluster.gpu;
  cluster.other_nodes[0].gpu->streaming_multiprocessors = 99;
  cluster.faults.slow_gpus = {{0, 1, 1.25}, {3, 3, 1.25}};
  const Topology topology(cluster);
  const hw::GpuClasses classes = hw::gpu_classes(cluster);
  REQUIRE(classes.specs.size() == 3);
  CHECK(topology.gpu_class(gpu(0)) == 0);
  CHECK(topology.gpu_class(gpu(1)) == topology.gpu_class(gpu(15)));
  CHECK(classes.specs[topology.gpu_class(gpu(1))].slowdown == 1.25);
  CHECK(classes.specs[topology.gpu_class(gpu(28))].streaming_multiprocessors == 99);
}

TEST_CASE("a failure that cuts GPUs off, and one of a part that there is not, is an error at its place") {
  const auto error_with = [](auto change) {
    ClusterSpec cluster = two_leaves();
    change(cluster);
    return pointer_of_error(cluster);
  };
  CHECK(error_with([](auto& c) { c.faults.nics = {{5, 0, 0.0}, {5, 1, 0.0}, {5, 2, 0.0}, {5, 3, 0.0}}; }) == "/cluster/faults/nics");
  CHECK(error_with([](auto& c) { c.faults.nvlinks = {{5, 0, 0.0}}; }) == "/cluster/faults/nvlinks/0/bandwidth");
  CHECK(error_with([](auto& c) { c.faults.uplinks = {{0, 0, 0.0}, {0, 1, 0.0}, {1, 2, 0.0}, {1, 3, 0.0}}; }) == "/cluster/faults/uplinks");
  CHECK(error_with([](auto& c) { c.faults.uplinks = {{0, 0, 0.0}, {0, 1, 0.0}, {0, 2, 0.0}, {1, 2, 0.0}}; }) == "accepted");
  CHECK(error_with([](auto& c) { c.faults.uplinks = {{0, 0, 0.0}, {0, 1, 0.0}, {0, 2, 0.0}, {0, 3, 0.0}}; }) == "/cluster/faults/uplinks");
  CHECK(error_with([](auto& c) { c.faults.nics = {{0, 0, 0.5}, {0, 4, 0.5}}; }) == "/cluster/faults/nics/1/nic");
  CHECK(error_with([](auto& c) { c.faults.nics = {{0, 0, 0.5}, {0, 0, 0.5}}; }) == "/cluster/faults/nics/1/nic");
  CHECK(error_with([](auto& c) { c.faults.nics = {{8, 0, 0.5}}; }) == "/cluster/faults/nics/0/node");
  CHECK(error_with([](auto& c) { c.faults.uplinks = {{2, 0, 0.5}}; }) == "/cluster/faults/uplinks/0/leaf");
  CHECK(error_with([](auto& c) { c.faults.slow_gpus = {{0, 4, 2.0}}; }) == "/cluster/faults/slow_gpus/0/gpu");
  CHECK(error_with([](auto& c) { c.faults.slow_gpus = {{0, 0, 0.5}}; }) == "/cluster/faults/slow_gpus/0/slowdown");
  CHECK(error_with([](auto& c) { c.node.nics = 3; }) == "/cluster/node/nics");
  CHECK(error_with([](auto& c) { c.other_nodes = {{3, 8, {}, {}, {}, {}, {}}}; }) == "/cluster/other_nodes/0/last");
  CHECK(error_with([](auto& c) { c.other_nodes = {{3, 2, {}, {}, {}, {}, {}}}; }) == "/cluster/other_nodes/0/last");
}

}  // namespace fabricast::fabric_variants_test
