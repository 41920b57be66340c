#include <algorithm>
#include <set>

#include "hardware_models/equipment.hpp"
#include "validation/description.hpp"

namespace fabricast::validation {

namespace {

std::int64_t vertices_of(const hw::Topology& topology, hw::VertexKind kind) {
  const auto vertices = topology.vertices();
  return std::count(vertices.begin(), vertices.end(), kind);
}

std::vector<GpuDescription> describe_gpus(const hw::ClusterSpec& cluster) {
  const hw::GpuClasses classes = hw::gpu_classes(cluster);
  std::vector<GpuDescription> gpus;
  for (const hw::GpuSpec& spec : classes.specs) gpus.push_back({spec.name, spec.slowdown, 0});
  for (const std::int32_t gpu_class : classes.of) ++gpus[static_cast<std::size_t>(gpu_class)].gpus;
  return gpus;
}

std::int64_t nodes_named(const std::vector<hw::OtherNodes>& entries) {
  std::set<std::int64_t> nodes;
  for (const hw::OtherNodes& entry : entries) {
    for (std::int64_t node = entry.first; node <= entry.last; ++node) nodes.insert(node);
  }
  return static_cast<std::int64_t>(nodes.size());
}

}  // namespace

ClusterDescription describe_cluster(const hw::ClusterSpec& cluster, const hw::Topology& topology) {
  const auto size = [](const auto& list) { return static_cast<std::int64_t>(list.size()); };
  ClusterDescription result;
  result.name = cluster.name;
  result.fabric = hw::name_of(cluster.fabric.kind);
  result.spine_choice = hw::name_of(cluster.fabric.spine_choice);
  result.nodes = cluster.nodes;
  result.gpus_per_node = cluster.node.gpus;
  result.leaves = vertices_of(topology, hw::VertexKind::leaf);
  result.spines = vertices_of(topology, hw::VertexKind::spine) > 0 ? cluster.fabric.spines : 0;
  result.oversubscription = cluster.fabric.oversubscription;
  result.gpus = describe_gpus(cluster);
  result.other_nodes = nodes_named(cluster.other_nodes);
  result.slow_gpus = size(cluster.faults.slow_gpus);
  result.faulty_nics = size(cluster.faults.nics);
  result.faulty_nvlinks = size(cluster.faults.nvlinks);
  result.faulty_uplinks = size(cluster.faults.uplinks);
  return result;
}

}  // namespace fabricast::validation
