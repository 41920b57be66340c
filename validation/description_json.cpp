#include <utility>

#include "validation/description.hpp"
#include "validation/report_json.hpp"

namespace fabricast::validation {

namespace {

void write_axis(JsonWriter& json, const AxisDescription& axis) {
  json.open_object();
  json.field("axis", ir::name_of(axis.axis));
  json.field("groups", axis.groups);
  json.field("least_members", axis.least_members);
  json.field("most_members", axis.most_members);
  json.field("most_nodes", axis.most_nodes);
  json.field("instances", axis.instances);
  json.field("bytes_sent_per_rank", axis.bytes_sent);
  json.field("bytes_leaving_node_per_rank", axis.bytes_leaving_node);
  json.open_array("first_group");
  for (const Rank rank : axis.example) json.element(std::int64_t{rank.value});
  json.close();
  json.close();
}

void write_program(JsonWriter& json, const ProgramDescription& program) {
  json.open_object();
  json.field("name", program.name);
  json.field("ranks", program.ranks);
  json.open_object("ops");
  for (const auto& [kind, count] : program.ops_by_kind) json.field(kind, count);
  json.close();
  json.close();
}

void write_cluster(JsonWriter& json, const ClusterDescription& cluster) {
  json.open_object("cluster");
  json.field("name", cluster.name);
  json.field("nodes", cluster.nodes);
  json.field("gpus_per_node", cluster.gpus_per_node);
  json.field("fabric", cluster.fabric);
  json.field("leaves", cluster.leaves);
  json.field("spines", cluster.spines);
  json.field("oversubscription", cluster.oversubscription);
  json.field("spine_choice", cluster.spine_choice);
  json.open_array("gpus");
  for (const GpuDescription& gpu : cluster.gpus) {
    json.open_object();
    json.field("name", gpu.name);
    json.field("slowdown", gpu.slowdown);
    json.field("count", gpu.gpus);
    json.close();
  }
  json.close();
  json.field("other_nodes", cluster.other_nodes);
  json.open_object("faults");
  json.field("slow_gpus", cluster.slow_gpus);
  json.field("nics", cluster.faulty_nics);
  json.field("nvlinks", cluster.faulty_nvlinks);
  json.field("uplinks", cluster.faulty_uplinks);
  json.close();
  json.close();
}

void write_rank(JsonWriter& json, const RankDescription& rank) {
  json.open_object();
  json.field("rank", rank.rank.value);
  json.field("node", rank.node.value);
  json.field("gpu", rank.slot);
  json.field("program", rank.program);
  for (const NamedCoordinate& coordinate : coordinates) json.field(coordinate.name, rank.at.*coordinate.value);
  json.close();
}

}  // namespace

std::string to_json(const Description& description) {
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.description/1");
  json.field("experiment", description.experiment);
  json.field("ranks", description.ranks);
  json.field("nodes", description.nodes);
  json.field("tokens_per_step", description.tokens_per_step);
  write_cluster(json, description.cluster);
  json.open_array("axes");
  for (const AxisDescription& axis : description.axes) write_axis(json, axis);
  json.close();
  json.open_array("programs");
  for (const ProgramDescription& program : description.programs) write_program(json, program);
  json.close();
  write_memory(json, description.memory);
  write_expert_load(json, description.expert_load);
  json.open_array("placement");
  for (const RankDescription& rank : description.placement) write_rank(json, rank);
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
