#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "validation/description.hpp"
#include "validation/summary.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t ranks_listed = 10;   // of an example group
constexpr std::int64_t nodes_listed = 4;   // of the placement

std::string list_of(const std::vector<Rank>& ranks) {
  std::string out;
  for (std::size_t i = 0; i < std::min(ranks.size(), ranks_listed); ++i) out += fmt::format("{}{}", i > 0 ? " " : "", ranks[i].value);
  return ranks.size() > ranks_listed ? fmt::format("{} .. {}", out, ranks.back().value) : out;
}

std::string axis_table(const Description& description) {
  Table table({{"axis", Table::Align::left}, {"groups"}, {"size"}, {"nodes"}, {"calls"}, {"sent/rank"}, {"leaves node"},
               {"first group", Table::Align::left}});
  for (const AxisDescription& axis : description.axes) {
    const std::string size = axis.least_members == axis.most_members ? fmt::format("{}", axis.most_members)
                                                                     : fmt::format("{}-{}", axis.least_members, axis.most_members);
    table.add({std::string(ir::name_of(axis.axis)), show_count(static_cast<double>(axis.groups)), size,
               show_count(static_cast<double>(axis.most_nodes)), show_count(static_cast<double>(axis.instances)),
               show_traffic(axis.bytes_sent), show_traffic(axis.bytes_leaving_node), list_of(axis.example)});
  }
  return table.text();
}

std::string gpus_of(const ClusterDescription& cluster) {
  std::string out;
  for (const GpuDescription& gpu : cluster.gpus) {
    out += fmt::format("{}{} x {}", out.empty() ? "" : ", ", gpu.gpus, gpu.name);
    if (gpu.slowdown > 1.0) out += fmt::format(" ({} times as slow)", gpu.slowdown);
  }
  return out;
}

std::string fabric_of(const ClusterDescription& cluster) {
  if (cluster.nodes == 1) return "one node, no network";
  std::string out = fmt::format("{}, {}", cluster.fabric, cluster.leaves == 1 ? "1 leaf" : fmt::format("{} leaves", cluster.leaves));
  if (cluster.spines == 0) return out;
  out += fmt::format(", {}, chosen {}", count_of(cluster.spines, "spine"), cluster.spine_choice);
  return cluster.oversubscription > 1.0 ? out + fmt::format(", {} to 1 oversubscribed", cluster.oversubscription) : out;
}

/// What differs and what is wrong, or nothing.
std::string blemishes_of(const ClusterDescription& cluster) {
  std::string out;
  const auto add = [&](std::int64_t count, const char* what) {
    if (count > 0) out += (out.empty() ? "" : ", ") + count_of(count, what);
  };
  add(cluster.other_nodes, "differing node");
  add(cluster.slow_gpus, "slow GPU");
  add(cluster.faulty_nics, "faulty NIC");
  add(cluster.faulty_nvlinks, "faulty NVLink");
  add(cluster.faulty_uplinks, "faulty uplink");
  return out;
}

std::string cluster_lines(const ClusterDescription& cluster) {
  const std::string blemishes = blemishes_of(cluster);
  return fmt::format("  {}\n  {}\n{}", gpus_of(cluster), fabric_of(cluster), blemishes.empty() ? "" : "  with " + blemishes + '\n');
}

/// "3" or "0-7": the values that a coordinate takes on a node.
std::string range_on(const std::vector<RankDescription>& ranks, std::int32_t ir::Coordinates::* value) {
  std::int32_t least = ranks.front().at.*value, most = least;
  for (const RankDescription& rank : ranks) {
    least = std::min(least, rank.at.*value);
    most = std::max(most, rank.at.*value);
  }
  return least == most ? fmt::format("{}", least) : fmt::format("{}-{}", least, most);
}

bool varies(const Description& description, std::int32_t ir::Coordinates::* value) {
  return std::any_of(description.placement.begin(), description.placement.end(),
                     [&](const RankDescription& rank) { return rank.at.*value != 0; });
}

std::string placement_table(const Description& description) {
  std::vector<NamedCoordinate> shown;
  std::copy_if(coordinates.begin(), coordinates.end(), std::back_inserter(shown),
               [&](const NamedCoordinate& coordinate) { return varies(description, coordinate.value); });
  std::vector<Table::Column> columns{{"node", Table::Align::left}, {"ranks", Table::Align::left}};
  for (const NamedCoordinate& coordinate : shown) columns.push_back({coordinate.name});
  Table table(std::move(columns));
  for (std::int32_t node = 0; node < std::min(description.nodes, nodes_listed); ++node) {
    std::vector<RankDescription> here;
    std::vector<Rank> ranks;
    for (const RankDescription& rank : description.placement) {
      if (rank.node.value != node) continue;
      here.push_back(rank);
      ranks.push_back(rank.rank);
    }
    if (here.empty()) continue;
    std::vector<std::string> cells{fmt::format("{}", node), list_of(ranks)};
    for (const NamedCoordinate& coordinate : shown) cells.push_back(range_on(here, coordinate.value));
    table.add(std::move(cells));
  }
  if (description.nodes > nodes_listed) table.add({"..", fmt::format("{} nodes in all", description.nodes)});
  return table.text();
}

std::string program_table(const Description& description) {
  std::set<std::string> kinds;
  for (const ProgramDescription& program : description.programs) {
    for (const auto& [kind, count] : program.ops_by_kind) kinds.insert(kind);
  }
  std::vector<Table::Column> columns{{"op kind", Table::Align::left}};
  std::vector<std::string> ranks{"(ranks)"};
  for (const ProgramDescription& program : description.programs) {
    columns.push_back({program.name});
    ranks.push_back(show_count(static_cast<double>(program.ranks)));
  }
  Table table(std::move(columns));
  table.add(std::move(ranks));
  for (const std::string& kind : kinds) {
    std::vector<std::string> cells{kind};
    for (const ProgramDescription& program : description.programs) {
      const auto found = program.ops_by_kind.find(kind);
      cells.push_back(found == program.ops_by_kind.end() ? "" : show_count(static_cast<double>(found->second)));
    }
    table.add(std::move(cells));
  }
  return table.text();
}

}  // namespace

std::string summary(const Description& description, TextStyle style) {
  const std::string heading = fmt::format("{}: {} tokens per step on {} ({})", description.experiment,
                                          show_count(static_cast<double>(description.tokens_per_step)),
                                          count_of(description.ranks, "GPU"), count_of(description.nodes, "node"));
  std::string out = style.strong(heading) + "\n\n";
  out += style.strong("Cluster") + " (" + description.cluster.name + ")\n" + cluster_lines(description.cluster) + '\n';
  out += style.strong("Groups") + " (calls: over all groups; bytes: per rank and step, as the chosen algorithms send them)\n";
  out += axis_table(description) + '\n';
  out += style.strong("Placement") + '\n' + placement_table(description) + '\n';
  out += style.strong("Ops per program") + '\n' + program_table(description) + '\n';
  out += style.strong("Memory") + fmt::format(" (rank {}, the fullest; {})\n", description.memory.fullest.value,
                                              description.memory.fits ? "fits" : "DOES NOT FIT");
  return out + memory_table(description.memory);
}

}  // namespace fabricast::validation
