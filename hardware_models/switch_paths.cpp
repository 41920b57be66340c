#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <boost/range/iterator_range.hpp>
#include <optional>
#include <stdexcept>

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

/// The spines on a shortest path from `start` to some other leaf, ascending.
std::vector<Vertex> spines_on_shortest_paths(Vertex start, std::span<const Vertex> leaves, const SwitchGraph& graph, std::size_t vertices) {
  const auto hops = hops_from(start, graph, vertices);
  std::vector<Vertex> spines;
  for (const Vertex leaf : leaves) {
    if (leaf == start) continue;
    if (!hops[leaf]) throw std::logic_error("a leaf switch cannot be reached");
    for (const auto& edge : boost::make_iterator_range(boost::in_edges(leaf, graph))) {
      const Vertex before = boost::source(edge, graph);
      if (hops[before] && *hops[before] + 1 == *hops[leaf]) spines.push_back(before);
    }
  }
  std::sort(spines.begin(), spines.end());
  spines.erase(std::unique(spines.begin(), spines.end()), spines.end());
  return spines;
}

/// The links of one leaf, in the order of `spines`.
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

// Leaves are joined by spines alone, so a path between two of them has two hops or more. Every leaf is wired to and from every spine, so
// all pairs have the equal-cost paths that the first leaf has.
SwitchPaths shortest_switch_paths(const Wiring& wiring) {
  SwitchPaths paths;
  const Graph graph = to_graph(wiring);
  const std::vector<Vertex> leaves = vertices_of(graph, VertexKind::leaf);
  if (leaves.size() < 2) return paths;
  const SwitchGraph switches(graph, boost::keep_all{}, IsSwitch{&graph});
  const std::vector<Vertex> spines = spines_on_shortest_paths(leaves.front(), leaves, switches, wiring.vertices.size());
  paths.spines = static_cast<std::int64_t>(spines.size());
  for (const Vertex leaf : leaves) {
    if (boost::out_degree(leaf, switches) != spines.size() || boost::in_degree(leaf, switches) != spines.size()) {
      throw std::logic_error("leaves differ in the spines that they are wired to");
    }
    append_links_of(leaf, spines, switches, paths);
  }
  return paths;
}

}  // namespace fabricast::hw
