#include "hardware_models/collectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "hardware_models/collective_lowering.hpp"

namespace fabricast::hw {
namespace {

std::size_t expected_counts(CollectiveKind kind, std::size_t members) {
  switch (kind) {
    case CollectiveKind::all_reduce:
    case CollectiveKind::broadcast:
    case CollectiveKind::send: return 1;
    case CollectiveKind::all_gather:
    case CollectiveKind::reduce_scatter: return members;
    case CollectiveKind::all_to_all: return members * members;
  }
  throw std::invalid_argument("unknown collective kind");
}

void require_valid(CollectiveKind kind, std::size_t members, CollectiveCounts counts) {
  if (members == 0) throw std::invalid_argument(fmt::format("{} over an empty group", name_of(kind)));
  if (counts.size() != expected_counts(kind, members)) {
    throw std::invalid_argument(fmt::format("{} of {} members needs {} counts, got {}", name_of(kind), members,
                                            expected_counts(kind, members), counts.size()));
  }
  if (std::any_of(counts.begin(), counts.end(), [](Bytes bytes) { return bytes < Bytes{}; })) {
    throw std::invalid_argument(fmt::format("{} with a negative count", name_of(kind)));
  }
}

bool is_ring_kind(CollectiveKind kind) { return kind != CollectiveKind::all_to_all && kind != CollectiveKind::send; }

bool applies_to_layout(CollectiveKind kind, CollectiveAlgorithm algorithm, const GroupLayout& layout) {
  const bool even_over_nodes = layout.nodes() > 1 && layout.same_members_on_every_node();
  switch (algorithm) {
    case CollectiveAlgorithm::ring: return is_ring_kind(kind);
    case CollectiveAlgorithm::two_level: return is_ring_kind(kind) && even_over_nodes;
    case CollectiveAlgorithm::flat: return !is_ring_kind(kind);
    case CollectiveAlgorithm::hierarchical: return kind == CollectiveKind::all_to_all && even_over_nodes;
    case CollectiveAlgorithm::pairwise:
    case CollectiveAlgorithm::low_latency: return kind == CollectiveKind::all_to_all;
    case CollectiveAlgorithm::deduplicated: return kind == CollectiveKind::all_to_all && layout.same_members_on_every_node();
    case CollectiveAlgorithm::tree: return kind == CollectiveKind::all_reduce && layout.same_members_on_every_node();
    case CollectiveAlgorithm::nvls: return kind == CollectiveKind::all_reduce && layout.nodes() == 1 && layout.members().size() > 1;
    case CollectiveAlgorithm::rail_ring:
    case CollectiveAlgorithm::nvls_tree:
    case CollectiveAlgorithm::sharp: return kind == CollectiveKind::all_reduce && even_over_nodes;
    case CollectiveAlgorithm::automatic: return false;
  }
  return false;
}

std::vector<Phase> lower_send(Bytes message) {
  std::vector<Phase> phases;
  if (message > Bytes{}) phases.push_back({{{0, 1, message}}, 1});
  return phases;
}

}  // namespace

std::string_view name_of(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::all_reduce: return "all_reduce";
    case CollectiveKind::all_gather: return "all_gather";
    case CollectiveKind::reduce_scatter: return "reduce_scatter";
    case CollectiveKind::broadcast: return "broadcast";
    case CollectiveKind::all_to_all: return "all_to_all";
    case CollectiveKind::send: return "send";
  }
  throw std::invalid_argument("unknown collective kind");
}

std::string_view name_of(CollectiveAlgorithm algorithm) {
  switch (algorithm) {
    case CollectiveAlgorithm::automatic: return "automatic";
    case CollectiveAlgorithm::ring: return "ring";
    case CollectiveAlgorithm::two_level: return "two_level";
    case CollectiveAlgorithm::flat: return "flat";
    case CollectiveAlgorithm::hierarchical: return "hierarchical";
    case CollectiveAlgorithm::rail_ring: return "rail_ring";
    case CollectiveAlgorithm::tree: return "tree";
    case CollectiveAlgorithm::nvls: return "nvls";
    case CollectiveAlgorithm::nvls_tree: return "nvls_tree";
    case CollectiveAlgorithm::sharp: return "sharp";
    case CollectiveAlgorithm::pairwise: return "pairwise";
    case CollectiveAlgorithm::deduplicated: return "deduplicated";
    case CollectiveAlgorithm::low_latency: return "low_latency";
  }
  throw std::invalid_argument("unknown collective algorithm");
}

bool applies(CollectiveKind kind, CollectiveAlgorithm algorithm, std::span<const NodeId> node_of) {
  return applies_to_layout(kind, algorithm, GroupLayout(node_of));
}

double bus_factor(CollectiveKind kind, std::int64_t members) {
  const double n = static_cast<double>(members);
  switch (kind) {
    case CollectiveKind::all_reduce: return 2.0 * (n - 1.0) / n;
    case CollectiveKind::all_gather:
    case CollectiveKind::reduce_scatter:
    case CollectiveKind::all_to_all: return (n - 1.0) / n;
    case CollectiveKind::broadcast:
    case CollectiveKind::send: return 1.0;
  }
  throw std::invalid_argument("unknown collective kind");
}

Bytes size_of(CollectiveKind kind, std::size_t members, CollectiveCounts counts) {
  const Bytes sum = std::accumulate(counts.begin(), counts.end(), Bytes{});
  return kind == CollectiveKind::all_to_all ? sum / static_cast<std::int64_t>(members) : sum;
}

std::vector<Phase> lower(CollectiveKind kind, CollectiveAlgorithm algorithm, std::span<const NodeId> node_of, CollectiveCounts counts,
                         const TokenRouting& tokens) {
  require_valid(kind, node_of.size(), counts);
  if (kind == CollectiveKind::send && node_of.size() != 2) throw std::invalid_argument("send is between two members");
  if (node_of.size() == 1) return {};
  const GroupLayout layout(node_of);
  if (!applies_to_layout(kind, algorithm, layout)) {
    throw std::invalid_argument(fmt::format("{} does not run {} on {} members over {} nodes", name_of(algorithm), name_of(kind),
                                            node_of.size(), layout.nodes()));
  }
  if (kind == CollectiveKind::send) return lower_send(counts[0]);
  switch (algorithm) {
    case CollectiveAlgorithm::ring: return lower_ring(kind, layout, counts);
    case CollectiveAlgorithm::two_level: return lower_two_level(kind, layout, counts);
    case CollectiveAlgorithm::flat:
    case CollectiveAlgorithm::low_latency: return lower_flat_all_to_all(node_of.size(), counts);
    case CollectiveAlgorithm::deduplicated: return lower_token_exchange(layout, counts, tokens);
    case CollectiveAlgorithm::hierarchical: return lower_hierarchical_all_to_all(layout, counts);
    case CollectiveAlgorithm::pairwise: return lower_pairwise_all_to_all(layout, counts);
    case CollectiveAlgorithm::rail_ring: return lower_rail_ring_all_reduce(layout, counts[0]);
    case CollectiveAlgorithm::tree: return lower_tree_all_reduce(layout, counts[0]);
    case CollectiveAlgorithm::nvls: return lower_nvls_all_reduce(layout, counts[0]);
    case CollectiveAlgorithm::nvls_tree: return lower_nvls_tree_all_reduce(layout, counts[0]);
    case CollectiveAlgorithm::sharp: return lower_sharp_all_reduce(layout, counts[0]);
    case CollectiveAlgorithm::automatic: break;
  }
  throw std::logic_error("an algorithm that applies is not lowered");
}

}  // namespace fabricast::hw
