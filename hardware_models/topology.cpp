#include "hardware_models/topology.hpp"

#include <stdexcept>

#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {
namespace {

// D-mod-k: the spine follows from the destination alone. The digits of the destination in base k are summed, since the last digit alone
// would send a group that takes every k-th GPU (one rail of every node, say) through a single spine.
std::int32_t spine_for(std::size_t destination, std::int64_t spines) {
  if (spines < 2) return 0;
  std::int64_t digit_sum = 0;
  for (auto rest = static_cast<std::int64_t>(destination); rest > 0; rest /= spines) digit_sum += rest % spines;
  return static_cast<std::int32_t>(digit_sum % spines);
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014).
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

/// As a switch hashes the addresses of a flow. One flow per pair of GPUs: NCCL's few queue pairs per connection are taken as one.
std::uint64_t ecmp_hash(std::uint64_t seed, GpuId source, GpuId destination) {
  const auto pair = static_cast<std::uint64_t>(source.value) << 32 | static_cast<std::uint32_t>(destination.value);
  return mix(mix(seed + 0x9e3779b97f4a7c15ULL) ^ pair);
}

}  // namespace

std::string_view name_of(LinkKind kind) {
  switch (kind) {
    case LinkKind::nvlink: return "nvlink";
    case LinkKind::pcie: return "pcie";
    case LinkKind::infiniband: return "infiniband";
    case LinkKind::fabric: return "fabric";
  }
  throw std::invalid_argument("unknown link kind");
}

Topology::Topology(const ClusterSpec& cluster) {
  require_buildable(cluster);
  const Equipment equipment = equip(cluster);
  const LeafPlan plan(cluster, equipment);
  Wiring wiring = wire(cluster, equipment, plan);
  SwitchPaths paths = shortest_switch_paths(wiring);
  for (std::size_t gpu = 0; gpu < wiring.ports.size(); ++gpu) wiring.ports[gpu].spine = spine_for(gpu, paths.spines);
  nodes_ = cluster.nodes;
  gpus_per_node_ = cluster.node.gpus;
  spines_ = paths.spines;
  if (cluster.fabric.spine_choice == SpineChoice::ecmp) ecmp_seed_ = cluster.fabric.ecmp_seed;
  ports_ = std::move(wiring.ports);
  class_of_ = gpu_classes(cluster).of;
  leaf_to_spine_ = std::move(paths.leaf_to_spine);
  spine_to_leaf_ = std::move(paths.spine_to_leaf);
  node_latency_ = cluster.node.nvlink_latency;
  leaf_latency_ = cluster.fabric.nic_latency;
  spine_latency_ = cluster.fabric.nic_latency + 2.0 * cluster.fabric.switch_latency;  // a spine and a second leaf
  vertices_ = std::move(wiring.vertices);
  links_ = std::move(wiring.links);
  cut_levels_ = make_cut_levels(cluster, equipment, plan);
}

// shortest_switch_paths() has seen to it that some spine serves both leaves.
Topology::Uplinks Topology::between_leaves(GpuId source, GpuId destination) const {
  const std::int64_t from = ports_[source.index()].leaf, to = ports_[destination.index()].leaf;
  std::int64_t spine = ecmp_seed_ ? static_cast<std::int64_t>(ecmp_hash(*ecmp_seed_, source, destination) % static_cast<std::uint64_t>(spines_))
                                  : ports_[destination.index()].spine;
  while (!leaf_to_spine_[from * spines_ + spine] || !spine_to_leaf_[to * spines_ + spine]) spine = (spine + 1) % spines_;
  return {*leaf_to_spine_[from * spines_ + spine], *spine_to_leaf_[to * spines_ + spine]};
}

Route Topology::route(GpuId source, GpuId destination) const {
  Route route;
  if (source == destination) return route;
  const GpuPorts& from = ports_[source.index()];
  const GpuPorts& to = ports_[destination.index()];
  if (from.node == to.node) {
    route.link_ids = {from.to_nvswitch, to.from_nvswitch};
    route.length = 2;
    route.latency = node_latency_;
  } else if (from.leaf == to.leaf) {
    route.link_ids = {from.to_nic, from.nic_to_leaf, to.leaf_to_nic, to.from_nic};
    route.length = 4;
    route.latency = leaf_latency_;
  } else {
    const auto [up, down] = between_leaves(source, destination);
    route.link_ids = {from.to_nic, from.nic_to_leaf, up, down, to.leaf_to_nic, to.from_nic};
    route.length = 6;
    route.latency = spine_latency_;
  }
  return route;
}

Route Topology::to_switch(GpuId gpu, SwitchPlace place) const {
  const GpuPorts& from = ports_[gpu.index()];
  Route route;
  if (place == SwitchPlace::node) {
    route.link_ids = {from.to_nvswitch};
    route.length = 1;
    route.latency = node_latency_ / 2.0;
  } else {
    if (nodes_ == 1) throw std::invalid_argument("a cluster of one node has no network switch");
    route.link_ids = {from.to_nic, from.nic_to_leaf};
    route.length = 2;
    route.latency = leaf_latency_ / 2.0;
  }
  return route;
}

Route Topology::from_switch(GpuId gpu, SwitchPlace place) const {
  Route route = to_switch(gpu, place);  // the same way back
  const GpuPorts& to = ports_[gpu.index()];
  if (place == SwitchPlace::node) {
    route.link_ids = {to.from_nvswitch};
  } else {
    route.link_ids = {to.leaf_to_nic, to.from_nic};
  }
  return route;
}

}  // namespace fabricast::hw
