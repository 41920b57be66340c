#include "hardware_models/collective_lowering.hpp"

namespace fabricast::hw {
namespace {

/// What the members of one node hold for the members with one local index, on every node: piece(source, destination) summed over them.
Bytes sum_over(std::span<const std::int32_t> sources, std::span<const std::int32_t> destinations, CollectiveCounts counts, std::size_t n) {
  Bytes sum{};
  for (const std::int32_t source : sources) {
    for (const std::int32_t destination : destinations) sum += counts[static_cast<std::size_t>(source) * n + destination];
  }
  return sum;
}

// (node, a) -> (node, b): everything of a's that is for local index b, whatever its node.
std::vector<Transfer> gather_by_local_index(const GroupLayout& layout, CollectiveCounts counts,
                                            std::span<const std::vector<std::int32_t>> by_local_index) {
  const std::size_t n = layout.members().size();
  std::vector<Transfer> transfers;
  transfers.reserve(n * by_local_index.size());
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    for (std::size_t from = 0; from < members.size(); ++from) {
      for (std::size_t to = 0; to < members.size(); ++to) {
        if (from == to) continue;
        const Bytes bytes = sum_over(members.subspan(from, 1), by_local_index[to], counts, n);
        if (bytes > Bytes{}) transfers.push_back({members[from], members[to], bytes});
      }
    }
  }
  return transfers;
}

// (node, a) -> (other node, a): everything that the node's members had for that GPU, in one transfer.
std::vector<Transfer> cross_between_equal_local_indices(const GroupLayout& layout, CollectiveCounts counts,
                                                        std::span<const std::vector<std::int32_t>> by_local_index) {
  const std::size_t n = layout.members().size();
  std::vector<Transfer> transfers;
  transfers.reserve(n * layout.nodes());
  for (std::size_t from = 0; from < layout.nodes(); ++from) {
    for (const auto& column : by_local_index) {
      for (std::size_t to = 0; to < layout.nodes(); ++to) {
        if (from == to) continue;
        const Bytes bytes = sum_over(layout.members_of(from), std::span(column).subspan(to, 1), counts, n);
        if (bytes > Bytes{}) transfers.push_back({column[from], column[to], bytes});
      }
    }
  }
  return transfers;
}

}  // namespace

std::vector<Phase> lower_flat_all_to_all(std::size_t members, CollectiveCounts counts) {
  std::vector<Transfer> transfers;
  transfers.reserve(members * (members - 1));
  for (std::size_t source = 0; source < members; ++source) {
    for (std::size_t destination = 0; destination < members; ++destination) {
      const Bytes bytes = counts[source * members + destination];
      if (source == destination || bytes == Bytes{}) continue;
      transfers.push_back({static_cast<std::int32_t>(source), static_cast<std::int32_t>(destination), bytes});
    }
  }
  std::vector<Phase> phases;
  append_phase(phases, std::move(transfers), 1);
  return phases;
}

// With as many members on every node, each piece reaches its destination's local index in the first phase and the destination in the
// second: nothing is left to scatter.
std::vector<Phase> lower_hierarchical_all_to_all(const GroupLayout& layout, CollectiveCounts counts) {
  std::vector<std::vector<std::int32_t>> by_local_index;
  for (std::size_t local = 0; local < layout.members_of(0).size(); ++local) by_local_index.push_back(layout.across_nodes(local));
  std::vector<Phase> phases;
  append_phase(phases, gather_by_local_index(layout, counts, by_local_index), 1);
  append_phase(phases, cross_between_equal_local_indices(layout, counts, by_local_index), 1);
  pipeline(phases);
  return phases;
}

// Round k: the p-th member of the layout sends to the (p + k)-th, cyclically; a round starts when the one before it has ended.
std::vector<Phase> lower_pairwise_all_to_all(const GroupLayout& layout, CollectiveCounts counts) {
  const auto members = layout.members();
  const std::size_t n = members.size();
  std::vector<Phase> phases;
  for (std::size_t round = 1; round < n; ++round) {
    std::vector<Transfer> transfers;
    transfers.reserve(n);
    for (std::size_t place = 0; place < n; ++place) {
      const std::int32_t source = members[place], destination = members[(place + round) % n];
      const Bytes bytes = counts[static_cast<std::size_t>(source) * n + destination];
      if (bytes > Bytes{}) transfers.push_back({source, destination, bytes});
    }
    append_phase(phases, std::move(transfers), 1);
  }
  return phases;
}

}  // namespace fabricast::hw
