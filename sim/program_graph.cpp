#include "sim/program_graph.hpp"

#include <optional>

namespace fabricast::sim {
namespace {

struct Edge {
  ir::OpIndex before, after;
};

std::vector<Edge> edges_of(const ir::Program& program) {
  std::vector<Edge> edges;
  std::vector<std::optional<ir::OpIndex>> last(program.streams.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const ir::OpIndex op{static_cast<std::int32_t>(i)};
    auto& previous = last[program.ops[i].stream.index()];
    if (previous) edges.push_back({*previous, op});
    previous = op;
    for (const ir::OpIndex before : program.ops[i].after) edges.push_back({before, op});
  }
  return edges;
}

}  // namespace

ProgramGraph::ProgramGraph(const ir::Program& program) : first_(program.ops.size() + 1), predecessors_(program.ops.size()) {
  const std::vector<Edge> edges = edges_of(program);
  for (const Edge& edge : edges) {
    ++first_[edge.before.index() + 1];
    ++predecessors_[edge.after.index()];
  }
  for (std::size_t op = 0; op < program.ops.size(); ++op) first_[op + 1] += first_[op];
  dependents_.resize(edges.size());
  std::vector<std::size_t> next(first_.begin(), first_.end() - 1);
  for (const Edge& edge : edges) dependents_[next[edge.before.index()]++] = edge.after;
}

}  // namespace fabricast::sim
