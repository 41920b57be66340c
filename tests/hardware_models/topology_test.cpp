#include "hardware_models/topology.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "tests/hardware_models/test_cluster.hpp"

namespace fabricast::topology_test {

using namespace fabricast;
using namespace fabricast::tests;
using hw::FabricKind;
using hw::Link;
using hw::LinkKind;
using hw::Topology;
using hw::VertexId;

namespace {

hw::ClusterSpec cluster_of(FabricKind kind, std::int64_t nodes, std::int64_t gpus, std::int64_t nodes_per_leaf, std::int64_t spines) {
  hw::ClusterSpec cluster = h100_16x8();
  cluster.nodes = nodes;
  cluster.node.gpus = gpus;
  cluster.fabric.kind = kind;
  cluster.fabric.nodes_per_leaf = nodes_per_leaf;
  cluster.fabric.spines = spines;
  return cluster;
}

/// Pods, leaves, spines and nodes in many proportions, last pods smaller, single leaves.
std::vector<hw::ClusterSpec> many_clusters() {
  std::vector<hw::ClusterSpec> clusters = {h100_16x8()};
  for (const FabricKind kind : {FabricKind::rail_optimized, FabricKind::fat_tree}) {
    clusters.push_back(cluster_of(kind, 1, 4, 1, 0));
    clusters.push_back(cluster_of(kind, 2, 1, 2, 0));
    clusters.push_back(cluster_of(kind, 5, 3, 2, 2));
    clusters.push_back(cluster_of(kind, 7, 4, 3, 5));
    clusters.push_back(cluster_of(kind, 4, 2, 1, 1));
  }
  clusters.push_back(cluster_of(FabricKind::fat_tree, 3, 4, 9, 0));
  return clusters;
}

GpuId gpu_at(const Topology& topology, std::int64_t node, std::int64_t slot) {
  return GpuId{static_cast<std::int32_t>(node * topology.gpus_per_node() + slot)};
}

std::vector<LinkKind> kinds_of(const Topology& topology, GpuId source, GpuId destination) {
  std::vector<LinkKind> kinds;
  const hw::Route route = topology.route(source, destination);
  for (const LinkId link : route.links()) kinds.push_back(topology.links()[link.index()].kind);
  return kinds;
}

template <class Visit>
void for_each_pair(const Topology& topology, Visit visit) {
  for (std::int32_t source = 0; source < topology.gpus(); ++source) {
    for (std::int32_t destination = 0; destination < topology.gpus(); ++destination) visit(GpuId{source}, GpuId{destination});
  }
}

std::string pointer_of_error(const hw::ClusterSpec& cluster) {
  try {
    Topology topology(cluster);
  } catch (const hw::ConfigError& error) {
    return error.pointer();
  }
  return "accepted";
}

const std::vector<LinkKind> in_node = {LinkKind::nvlink, LinkKind::nvlink};
const std::vector<LinkKind> through_one_leaf = {LinkKind::pcie, LinkKind::infiniband, LinkKind::infiniband, LinkKind::pcie};
const std::vector<LinkKind> through_a_spine = {LinkKind::pcie,   LinkKind::infiniband, LinkKind::fabric,
                                               LinkKind::fabric, LinkKind::infiniband, LinkKind::pcie};

}  // namespace

// to(link k) = from(link k+1), from GPU to GPU; latency(route) = Σ latency(link)
TEST_CASE("every pair of GPUs is joined by an unbroken path of distinct links") {
  for (const hw::ClusterSpec& cluster : many_clusters()) {
    const Topology topology(cluster);
    for_each_pair(topology, [&](GpuId source, GpuId destination) {
      const hw::Route route = topology.route(source, destination);
      VertexId at{source.value};
      Seconds latency{};
      std::vector<LinkId> seen;
      for (const LinkId id : route.links()) {
        const Link& link = topology.links()[id.index()];
        REQUIRE(link.from == at);
        at = link.to;
        latency += link.latency;
        CHECK(std::find(seen.begin(), seen.end(), id) == seen.end());
        seen.push_back(id);
      }
      CHECK(at == VertexId{destination.value});
      CHECK(route.latency.value() == doctest::Approx(latency.value()).epsilon(1e-12));
    });
  }
}

TEST_CASE("a route goes over NVLink within a node and never between nodes") {
  for (const hw::ClusterSpec& cluster : many_clusters()) {
    const Topology topology(cluster);
    for_each_pair(topology, [&](GpuId source, GpuId destination) {
      const auto kinds = kinds_of(topology, source, destination);
      if (source == destination) {
        CHECK(kinds.empty());
      } else if (topology.node_of(source) == topology.node_of(destination)) {
        CHECK(kinds == in_node);
      } else {
        CHECK((kinds == through_one_leaf || kinds == through_a_spine));
      }
    });
  }
}

// one leaf: nic_latency; leaf, spine, leaf: nic_latency + 2 · switch_latency; node: nvlink_latency
TEST_CASE("on a rail-optimised fabric equal slots of a pod meet at one leaf and all others at a spine") {
  const Topology topology(cluster_of(FabricKind::rail_optimized, 8, 4, 4, 4));
  const GpuId source = gpu_at(topology, 1, 2);
  const auto same_rail = gpu_at(topology, 3, 2), unlike_slot = gpu_at(topology, 3, 1), other_pod = gpu_at(topology, 5, 2);
  CHECK(kinds_of(topology, source, same_rail) == through_one_leaf);
  CHECK(kinds_of(topology, source, unlike_slot) == through_a_spine);
  CHECK(kinds_of(topology, source, other_pod) == through_a_spine);
  CHECK(topology.route(source, gpu_at(topology, 1, 0)).latency == Seconds(1e-6));
  CHECK(topology.route(source, same_rail).latency == Seconds(2e-6));
  CHECK(topology.route(source, unlike_slot).latency.value() == doctest::Approx(3e-6).scale(0.0));
  CHECK(topology.route(source, other_pod).latency.value() == doctest::Approx(3e-6).scale(0.0));
}

TEST_CASE("on a fat tree all slots of the nodes under one leaf meet there") {
  const Topology topology(cluster_of(FabricKind::fat_tree, 8, 4, 4, 4));
  CHECK(kinds_of(topology, gpu_at(topology, 1, 2), gpu_at(topology, 3, 2)) == through_one_leaf);
  CHECK(kinds_of(topology, gpu_at(topology, 1, 2), gpu_at(topology, 3, 1)) == through_one_leaf);
  CHECK(kinds_of(topology, gpu_at(topology, 1, 2), gpu_at(topology, 4, 2)) == through_a_spine);
}

TEST_CASE("a cluster that one leaf serves has no links between switches") {
  const auto one_leaf = {cluster_of(FabricKind::fat_tree, 4, 8, 4, 6), cluster_of(FabricKind::rail_optimized, 4, 1, 8, 6)};
  for (const hw::ClusterSpec& cluster : one_leaf) {
    const Topology topology(cluster);
    for (const Link& link : topology.links()) CHECK(link.kind != LinkKind::fabric);
    CHECK(std::count(topology.vertices().begin(), topology.vertices().end(), hw::VertexKind::spine) == 0);
  }
}

TEST_CASE("a cluster of one node has NVLink and no network, whatever its fabric says") {
  const Topology topology(cluster_of(FabricKind::rail_optimized, 1, 8, 0, 0));
  CHECK(topology.links().size() == 16);
  for (const Link& link : topology.links()) CHECK(link.kind == LinkKind::nvlink);
}

// vertices: G GPUs, N planes, G NICs, leaves, spines; links: 6 G + 2 · leaves · spines
TEST_CASE("the graph has the switches and links that the fabric describes") {
  const auto count = [](const Topology& topology, hw::VertexKind kind) {
    return std::count(topology.vertices().begin(), topology.vertices().end(), kind);
  };
  const Topology rails(cluster_of(FabricKind::rail_optimized, 7, 4, 3, 5));  // pods of 3, 3 and 1 nodes, 4 rails each
  CHECK(count(rails, hw::VertexKind::gpu) == 28);
  CHECK(count(rails, hw::VertexKind::nvswitch) == 7);
  CHECK(count(rails, hw::VertexKind::nic) == 28);
  CHECK(count(rails, hw::VertexKind::leaf) == 12);
  CHECK(count(rails, hw::VertexKind::spine) == 5);
  CHECK(rails.links().size() == 6 * 28 + 2 * 12 * 5);
  const Topology tree(cluster_of(FabricKind::fat_tree, 7, 4, 3, 5));
  CHECK(count(tree, hw::VertexKind::leaf) == 3);
  CHECK(tree.links().size() == 6 * 28 + 2 * 3 * 5);
}

TEST_CASE("the same cluster gives the same routes twice") {
  for (const hw::ClusterSpec& cluster : many_clusters()) {
    const Topology first(cluster), second(cluster);
    for_each_pair(first, [&](GpuId source, GpuId destination) {
      const hw::Route a = first.route(source, destination), b = second.route(source, destination);
      CHECK(std::equal(a.links().begin(), a.links().end(), b.links().begin(), b.links().end()));
      CHECK(a.latency == b.latency);
    });
  }
}

TEST_CASE("all routes into a GPU from other leaves come through one spine") {
  const Topology topology(cluster_of(FabricKind::rail_optimized, 7, 4, 3, 5));
  std::vector<std::vector<VertexId>> spines(topology.gpus());
  for_each_pair(topology, [&](GpuId source, GpuId destination) {
    const hw::Route route = topology.route(source, destination);
    for (const LinkId id : route.links()) {
      const Link& link = topology.links()[id.index()];
      if (topology.vertices()[link.to.index()] == hw::VertexKind::spine) spines[destination.index()].push_back(link.to);
    }
  });
  for (const auto& used : spines) {
    CHECK(!used.empty());
    CHECK(std::adjacent_find(used.begin(), used.end(), std::not_equal_to<>()) == used.end());
  }
}

// destinations(leaf, spine) = NICs of the leaf / spines, for each spine
TEST_CASE("the NICs of a leaf share its spines evenly, also those of every other slot") {
  for (const FabricKind kind : {FabricKind::rail_optimized, FabricKind::fat_tree}) {
    for (const std::int64_t spines : {2, 4, 8, 16, 32}) {
      const Topology topology(cluster_of(kind, 64, 8, 32, spines));
      for (const std::int64_t stride : {1, 2}) {
        std::vector<std::vector<int>> used(2 * 8, std::vector<int>(spines));  // [leaf][spine]
        int destinations = 0;
        for (std::int64_t node = 32; node < 64; ++node) {
          for (std::int64_t slot = 0; slot < 8; slot += stride) {
            const hw::Route route = topology.route(gpu_at(topology, 0, slot), gpu_at(topology, node, slot));
            REQUIRE(route.length == 6);
            const Link& down = topology.links()[route.links()[3].index()];
            const auto first_leaf = 512 + 64 + 512, leaves = kind == FabricKind::fat_tree ? 2 : 16;
            ++used[down.to.index() - first_leaf][down.from.index() - first_leaf - leaves];
            ++destinations;
          }
        }
        for (const auto& leaf : used) {
          const auto [least, most] = std::minmax_element(leaf.begin(), leaf.end());
          CHECK(*least == *most);
        }
        CHECK(destinations == 32 * 8 / stride);
      }
    }
  }
}

// Σ uplinks(leaf) = NICs(leaf) · nic_bandwidth / oversubscription, in each direction and for smaller last pods too
TEST_CASE("a leaf's uplinks carry its NICs' bandwidth divided by the oversubscription") {
  for (const FabricKind kind : {FabricKind::rail_optimized, FabricKind::fat_tree}) {
    for (const double oversubscription : {1.0, 2.0, 3.0}) {
      hw::ClusterSpec cluster = cluster_of(kind, 7, 4, 3, 5);
      cluster.fabric.oversubscription = oversubscription;
      const Topology topology(cluster);
      for (std::size_t v = 0; v < topology.vertices().size(); ++v) {
        if (topology.vertices()[v] != hw::VertexKind::leaf) continue;
        double up = 0, down = 0, from_nics = 0;
        for (const Link& link : topology.links()) {
          if (link.kind == LinkKind::fabric && link.from.index() == v) up += link.bandwidth.value();
          if (link.kind == LinkKind::fabric && link.to.index() == v) down += link.bandwidth.value();
          if (link.kind == LinkKind::infiniband && link.to.index() == v) from_nics += link.bandwidth.value();
        }
        CHECK(from_nics > 0);
        CHECK(up == doctest::Approx(from_nics / oversubscription).epsilon(1e-12));
        CHECK(down == doctest::Approx(up).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("links have the bandwidth of their kind and names that say where they go") {
  const Topology topology(h100_16x8());
  const hw::Route route = topology.route(GpuId{3 * 8 + 1}, GpuId{5 * 8 + 2});
  REQUIRE(route.length == 6);
  std::vector<std::string> names;
  for (const LinkId id : route.links()) names.push_back(topology.links()[id.index()].name);
  CHECK(names[0] == "node 3 gpu 1 -> nic");
  CHECK(names[1] == "node 3 nic 1 -> pod 0 rail 1");
  CHECK(names[2].starts_with("pod 0 rail 1 -> spine "));
  CHECK(names[3].ends_with(" -> pod 0 rail 2"));
  CHECK(names[4] == "pod 0 rail 2 -> node 5 nic 2");
  CHECK(names[5] == "node 5 nic 2 -> gpu");
  for (const Link& link : topology.links()) {
    if (link.kind == LinkKind::nvlink) CHECK(link.bandwidth == BytesPerSecond(450e9));
    if (link.kind == LinkKind::pcie) CHECK(link.bandwidth == BytesPerSecond(64e9));
    if (link.kind == LinkKind::infiniband) CHECK(link.bandwidth == BytesPerSecond(50e9));
    if (link.kind == LinkKind::fabric) CHECK(link.bandwidth == BytesPerSecond(16 * 50e9 / 4));
  }
}

TEST_CASE("a GPU knows its node and slot") {
  const Topology topology(h100_16x8());
  CHECK(topology.gpus() == 128);
  CHECK(topology.nodes() == 16);
  CHECK(topology.node_of(GpuId{0}) == NodeId{0});
  CHECK(topology.node_of(GpuId{127}) == NodeId{15});
  CHECK(topology.slot_of(GpuId{42}) == 2);
}

TEST_CASE("cuts are listed where they can bind") {
  const auto names = [](const hw::ClusterSpec& cluster) {
    std::vector<std::string> result;
    const Topology topology(cluster);
    for (const hw::CutLevel& level : topology.cut_levels()) result.emplace_back(level.name);
    return result;
  };
  using Names = std::vector<std::string>;
  hw::ClusterSpec oversubscribed = cluster_of(FabricKind::rail_optimized, 8, 4, 4, 4);
  CHECK(names(cluster_of(FabricKind::rail_optimized, 1, 8, 1, 0)) == Names{"gpu"});
  CHECK(names(oversubscribed) == Names{"gpu", "node"});
  oversubscribed.fabric.oversubscription = 2.0;
  CHECK(names(oversubscribed) == Names{"gpu", "node", "pod"});
  oversubscribed.fabric.kind = FabricKind::fat_tree;
  CHECK(names(oversubscribed) == Names{"gpu", "node", "leaf"});
  oversubscribed.fabric.nodes_per_leaf = 8;
  CHECK(names(oversubscribed) == Names{"gpu", "node"});
}

TEST_CASE("an impossible cluster is refused with the pointer of the key at fault") {
  const auto error_with = [](auto change) {
    hw::ClusterSpec cluster = cluster_of(FabricKind::rail_optimized, 4, 2, 2, 2);
    change(cluster);
    return pointer_of_error(cluster);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(error_with([](auto&) {}) == "accepted");
  CHECK(error_with([](auto& c) { c.fabric.spines = 0; }) == "/cluster/fabric/spines");
  CHECK(error_with([](auto& c) { c.fabric.spines = -1; }) == "/cluster/fabric/spines");
  CHECK(error_with([](auto& c) { c.fabric.spines = std::int64_t{1} << 40; }) == "/cluster/fabric/spines");
  CHECK(error_with([](auto& c) { c.fabric.nodes_per_leaf = 0; }) == "/cluster/fabric/nodes_per_leaf");
  CHECK(error_with([](auto& c) { c.fabric.oversubscription = 0; }) == "/cluster/fabric/oversubscription");
  CHECK(error_with([&](auto& c) { c.fabric.oversubscription = nan; }) == "/cluster/fabric/oversubscription");
  CHECK(error_with([](auto& c) { c.fabric.nic_bandwidth = BytesPerSecond(0); }) == "/cluster/fabric/nic_bandwidth");
  CHECK(error_with([](auto& c) { c.fabric.nic_latency = Seconds(-1e-6); }) == "/cluster/fabric/nic_latency");
  CHECK(error_with([&](auto& c) { c.fabric.switch_latency = Seconds(nan); }) == "/cluster/fabric/switch_latency");
  CHECK(error_with([](auto& c) { c.node.pcie_bandwidth = BytesPerSecond(-1); }) == "/cluster/node/pcie_bandwidth");
  CHECK(error_with([](auto& c) { c.node.nvlink_bandwidth = BytesPerSecond(0); }) == "/cluster/node/nvlink_bandwidth");
  CHECK(error_with([](auto& c) { c.node.nvlink_latency = Seconds(-1); }) == "/cluster/node/nvlink_latency");
  CHECK(error_with([](auto& c) { c.node.gpus = 0; }) == "/cluster/node/gpus");
  CHECK(error_with([](auto& c) { c.nodes = 0; }) == "/cluster/nodes");
  CHECK(error_with([](auto& c) { c.nodes = std::int64_t{1} << 62; }) == "/cluster/nodes");
}

TEST_CASE("keys that nothing depends on may be zero") {
  hw::ClusterSpec one_gpu_nodes = cluster_of(FabricKind::fat_tree, 2, 1, 2, 0);
  one_gpu_nodes.node.nvlink_bandwidth = BytesPerSecond(0);
  CHECK(pointer_of_error(one_gpu_nodes) == "accepted");
  hw::ClusterSpec one_node = cluster_of(FabricKind::fat_tree, 1, 4, 0, 0);
  one_node.fabric.nic_bandwidth = BytesPerSecond(0);
  CHECK(pointer_of_error(one_node) == "accepted");
}

}  // namespace fabricast::topology_test
