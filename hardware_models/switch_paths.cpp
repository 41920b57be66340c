#include <fmt/format.h>

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <boost/range/iterator_range.hpp>
#include <iterator>
#include <optional>

#include "hardware_models/config_error.hpp"
#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {
namespace {

using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, VertexKind, LinkId>;
using Vertex = Graph::vertex_descriptor;

Graph to_graph(const Wiring& wiring) {
  Graph graph(wiring.vertices.size());
  for (std::size_t v = 0; v < wiring.vertices.size(); ++v) graph[v] = wiring.vertices[v];
  for (std::size_t i = 0; i < wiring.links.size(); ++i) {
    boost::add_edge(wiring.links[i].from.index(), wiring.links[i].to.index(), LinkId{static_cast<std::int32_t>(i)}, graph);
  }
  return graph;
}

/// Keeps leaves and spines: traffic between leaves passes through no NIC.
struct IsSwitch {
  const Graph* graph = nullptr;
  bool operator()(Vertex vertex) const { return (*graph)[vertex] == VertexKind::leaf || (*graph)[vertex] == VertexKind::spine; }
};
using SwitchGraph = boost::filtered_graph<Graph, boost::keep_all, IsSwitch>;

std::vector<Vertex> vertices_of(const Graph& graph, VertexKind kind) {
  std::vector<Vertex> result;
  for (const Vertex vertex : boost::make_iterator_range(boost::vertices(graph))) {
    if (graph[vertex] == kind) result.push_back(vertex);
  }
  return result;
}

/// Hops over switches; nothing where `start` does not reach.
std::vector<std::optional<int>> hops_from(Vertex start, const SwitchGraph& graph, std::size_t vertices) {
  std::vector<std::optional<int>> hops(vertices);
  hops[start] = 0;
  struct Recorder : boost::default_bfs_visitor {
    explicit Recorder(std::vector<std::optional<int>>& record) : hops(&record) {}
    void tree_edge(const SwitchGraph::edge_descriptor& edge, const SwitchGraph& g) const {
      (*hops)[boost::target(edge, g)] = *(*hops)[boost::source(edge, g)] + 1;
    }
    std::vector<std::optional<int>>* hops;
  };
  boost::breadth_first_search(graph, start, boost::visitor(Recorder(hops)));
  return hops;
}

/// Leaves that serve NICs, though perhaps no spine.
std::vector<Vertex> leaves_in_use(std::span<const Vertex> leaves, const Graph& graph, const SwitchGraph& switches) {
  std::vector<Vertex> used;
  const auto serves_nics = [&](Vertex leaf) { return boost::out_degree(leaf, graph) > boost::out_degree(leaf, switches); };
  std::copy_if(leaves.begin(), leaves.end(), std::back_inserter(used), serves_nics);
  return used;
}

/// Every leaf in use reaches every other over a spine that both are wired to: in two hops.
void require_common_spines(std::span<const Vertex> leaves, const Graph& graph, const SwitchGraph& switches) {
  const std::vector<Vertex> used = leaves_in_use(leaves, graph, switches);
  const auto number = [&](Vertex leaf) { return std::lower_bound(leaves.begin(), leaves.end(), leaf) - leaves.begin(); };
  for (const Vertex a : used) {
    const auto hops = hops_from(a, switches, boost::num_vertices(graph));
    for (const Vertex b : used) {
      if (b == a || (hops[b] && *hops[b] == 2)) continue;
      throw ConfigError(fmt::format("leaves {} and {} have no spine left in common, which cuts their GPUs off from each other; leave one spine "
                                    "working for both", number(a), number(b)), "/cluster/faults/uplinks");
    }
  }
}

/// The links of one leaf, by spine.
void append_links_of(Vertex leaf, std::span<const Vertex> spines, const SwitchGraph& graph, SwitchPaths& paths) {
  const std::size_t first = paths.leaf_to_spine.size();
  paths.leaf_to_spine.resize(first + spines.size());
  paths.spine_to_leaf.resize(first + spines.size());
  const auto place = [&](Vertex spine) {
    return first + static_cast<std::size_t>(std::lower_bound(spines.begin(), spines.end(), spine) - spines.begin());
  };
  const auto ups = boost::make_iterator_range(boost::out_edges(leaf, graph));
  const auto downs = boost::make_iterator_range(boost::in_edges(leaf, graph));
  for (const auto& up : ups) paths.leaf_to_spine[place(boost::target(up, graph))] = graph[up];
  for (const auto& down : downs) paths.spine_to_leaf[place(boost::source(down, graph))] = graph[down];
}

}  // namespace

// Leaves are joined by spines alone: a shortest path between two of them has two hops, over any spine that both are wired to. Where no
// uplink has failed all leaves that serve NICs are wired to all spines, and there is nothing to search.
SwitchPaths shortest_switch_paths(const Wiring& wiring) {
  SwitchPaths paths;
  const Graph graph = to_graph(wiring);
  const std::vector<Vertex> leaves = vertices_of(graph, VertexKind::leaf), spines = vertices_of(graph, VertexKind::spine);
  if (leaves.size() < 2) return paths;
  const SwitchGraph switches(graph, boost::keep_all{}, IsSwitch{&graph});
  paths.spines = static_cast<std::int64_t>(spines.size());
  bool some_failed = false;
  for (const Vertex leaf : leaves) {
    const std::size_t uplinks = boost::out_degree(leaf, switches);
    some_failed = some_failed || uplinks < spines.size();
    append_links_of(leaf, spines, switches, paths);
  }
  if (some_failed) require_common_spines(leaves, graph, switches);
  return paths;
}

}  // namespace fabricast::hw
