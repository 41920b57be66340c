#include "hardware_models/cluster_config.hpp"

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "hardware_models/cluster_variations.hpp"
#include "hardware_models/collective_config.hpp"
#include "hardware_models/equipment.hpp"
#include "hardware_models/gpu_config.hpp"
#include "hardware_models/json_reader.hpp"

namespace fabricast::hw {
namespace {

constexpr IntegerRange node_range{1, 1 << 17};
constexpr IntegerRange gpus_per_node_range{1, 1024};
constexpr IntegerRange nics_per_node_range{1, 1024};
constexpr IntegerRange seed_range{0, std::int64_t{1} << 40};
constexpr std::int64_t most_gpus = 1 << 20;  // ten times the largest cluster built so far
constexpr IntegerRange spine_range{1, 4096};
constexpr double most_oversubscription = 64;

template <class Choice>
std::vector<std::pair<std::string, Choice>> by_name(std::initializer_list<Choice> all) {
  std::vector<std::pair<std::string, Choice>> named;
  for (const Choice choice : all) named.emplace_back(name_of(choice), choice);
  return named;
}

NodeSpec read_node(const JsonNode& node) {
  ObjectReader reader(node);
  NodeSpec spec;
  spec.gpus = reader.integer("gpus", gpus_per_node_range);
  spec.nics = reader.optional_integer("nics", nics_per_node_range);
  spec.nvlink_bandwidth = reader.bandwidth("nvlink_bandwidth");
  spec.nvlink_latency = reader.duration("nvlink_latency");
  spec.pcie_bandwidth = reader.bandwidth("pcie_bandwidth");
  spec.in_switch_reduction = reader.optional_boolean("in_switch_reduction").value_or(false);
  reader.finish();
  return spec;
}

FabricSpec read_fabric(const JsonNode& node) {
  ObjectReader reader(node);
  FabricSpec spec;
  spec.kind = reader.choice<FabricKind>("kind", by_name({FabricKind::rail_optimized, FabricKind::fat_tree}));
  spec.nic_bandwidth = reader.bandwidth("nic_bandwidth");
  spec.nic_latency = reader.duration("nic_latency");
  spec.switch_latency = reader.duration("switch_latency");
  spec.nodes_per_leaf = reader.integer("nodes_per_leaf", node_range);
  spec.spines = reader.integer("spines", spine_range);
  spec.oversubscription = reader.optional_number("oversubscription", 1, most_oversubscription).value_or(1.0);
  const auto choices = by_name({SpineChoice::by_destination, SpineChoice::ecmp, SpineChoice::adaptive});
  spec.spine_choice = reader.optional_choice<SpineChoice>("spine_choice", choices).value_or(SpineChoice::by_destination);
  if (const auto seed = reader.optional_integer("ecmp_seed", seed_range)) {
    if (spec.spine_choice != SpineChoice::ecmp) {
      fail(*node.find("ecmp_seed"), "has no meaning without \"spine_choice\": \"ecmp\"; leave it out or choose ecmp");
    }
    spec.ecmp_seed = static_cast<std::uint64_t>(*seed);
  }
  spec.in_network_reduction = reader.optional_boolean("in_network_reduction").value_or(false);
  reader.finish();
  return spec;
}

void check(const JsonNode& node, const ClusterSpec& cluster) {
  if (cluster.gpus() > most_gpus) {
    fail(*node.find("nodes"), fmt::format("with {} GPUs each are {} GPUs; at most {} can be simulated", cluster.node.gpus, cluster.gpus(),
                                          most_gpus));
  }
  if (cluster.memory_reserve >= least_memory(cluster)) {
    fail(*node.find("memory_reserve"), fmt::format("leaves nothing of the GPU's memory of {} bytes; it must be less than that",
                                                   least_memory(cluster).value()));
  }
}

}  // namespace

ClusterSpec read_cluster(const JsonNode& node) {
  ObjectReader reader(node);
  ClusterSpec cluster;
  cluster.name = reader.text("name");
  cluster.nodes = reader.integer("nodes", node_range);
  cluster.gpu = read_gpu(reader.child("gpu"));
  cluster.node = read_node(reader.child("node"));
  cluster.fabric = read_fabric(reader.child("fabric"));
  cluster.collectives = read_collectives(reader.child("collectives"));
  if (const JsonNode* others = reader.optional_child("other_nodes")) cluster.other_nodes = read_other_nodes(*others);
  if (const JsonNode* faults = reader.optional_child("faults")) cluster.faults = read_faults(*faults);
  cluster.collectives.in_switch_reduction = cluster.node.in_switch_reduction;
  cluster.collectives.in_network_reduction = cluster.fabric.in_network_reduction;
  cluster.memory_reserve = reader.bytes("memory_reserve");
  reader.finish();
  check(node, cluster);
  return cluster;
}

}  // namespace fabricast::hw
