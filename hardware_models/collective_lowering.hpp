// How each algorithm lowers a collective: what collectives.cpp chooses from. Knows no time and no topology.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/collectives.hpp"

namespace fabricast::hw {

/// The members of a group by node: nodes ascending, group order within a node.
class GroupLayout {
 public:
  explicit GroupLayout(std::span<const NodeId> node_of);

  [[nodiscard]] std::size_t nodes() const { return node_begin_.size() - 1; }
  [[nodiscard]] bool same_members_on_every_node() const;
  [[nodiscard]] std::span<const std::int32_t> members() const { return members_; }
  [[nodiscard]] std::span<const std::int32_t> members_of(std::size_t node) const;
  /// One member per node, those with this local index. Needs the same number of members on every node.
  [[nodiscard]] std::vector<std::int32_t> across_nodes(std::size_t local_index) const;
  /// The layout with member 0 first: its node before the others (which stay in cyclic order), itself first in its node.
  [[nodiscard]] GroupLayout rooted_at_first_member() const;

 private:
  GroupLayout() = default;
  std::vector<std::int32_t> members_;
  std::vector<std::size_t> node_begin_;  // into members_, one past the last node included
};

/// S dealt to `parts`, the first ones a byte larger where it does not divide.
[[nodiscard]] std::vector<Bytes> even_shards(Bytes size, std::size_t parts);

/// The entries of `counts` (by member) in the order of the ring.
[[nodiscard]] std::vector<Bytes> shards_along(std::span<const std::int32_t> ring, CollectiveCounts counts);

/// Appends what each link of a ring carries in all. shards[p] is what the member at ring[p] owns before (after) the operation.
void append_ring_all_gather(std::span<const std::int32_t> ring, std::span<const Bytes> shards, std::vector<Transfer>& transfers);
void append_ring_reduce_scatter(std::span<const std::int32_t> ring, std::span<const Bytes> shards, std::vector<Transfer>& transfers);
void append_ring_all_reduce(std::span<const std::int32_t> ring, Bytes size, std::vector<Transfer>& transfers);
/// ring[0] is the root.
void append_chain_broadcast(std::span<const std::int32_t> ring, Bytes size, std::vector<Transfer>& transfers);

[[nodiscard]] std::vector<Phase> lower_ring(CollectiveKind kind, const GroupLayout& layout, CollectiveCounts counts);
[[nodiscard]] std::vector<Phase> lower_two_level(CollectiveKind kind, const GroupLayout& layout, CollectiveCounts counts);
[[nodiscard]] std::vector<Phase> lower_flat_all_to_all(std::size_t members, CollectiveCounts counts);
[[nodiscard]] std::vector<Phase> lower_hierarchical_all_to_all(const GroupLayout& layout, CollectiveCounts counts);
[[nodiscard]] std::vector<Phase> lower_pairwise_all_to_all(const GroupLayout& layout, CollectiveCounts counts);
[[nodiscard]] std::vector<Phase> lower_token_exchange(const GroupLayout& layout, CollectiveCounts counts, const TokenRouting& routing);
[[nodiscard]] std::vector<Phase> lower_rail_ring_all_reduce(const GroupLayout& layout, Bytes size);
[[nodiscard]] std::vector<Phase> lower_tree_all_reduce(const GroupLayout& layout, Bytes size);
[[nodiscard]] std::vector<Phase> lower_nvls_all_reduce(const GroupLayout& layout, Bytes size);
[[nodiscard]] std::vector<Phase> lower_nvls_tree_all_reduce(const GroupLayout& layout, Bytes size);
[[nodiscard]] std::vector<Phase> lower_sharp_all_reduce(const GroupLayout& layout, Bytes size);

/// The two trees of a double binary tree over n places: parent[p], the root being its own. A place has children in one of them at most,
/// but for the roots (Sanders, Speck and Träff, Two-tree algorithms for full bandwidth broadcast, reduction and scan, 2009).
struct DoubleTree {
  std::array<std::vector<std::int32_t>, 2> parent;
  std::int32_t depth = 0;  // longest way to a root
};
[[nodiscard]] DoubleTree double_tree(std::size_t n);

/// Appends the phases that sum each rail's shard up the double tree and send it down again, pipelined with what was there before.
void append_rail_trees(const GroupLayout& layout, std::span<const Bytes> shards, std::vector<Phase>& phases);

/// Lets every phase but the first work on the pieces that the one before it has done with.
void pipeline(std::vector<Phase>& phases);

/// Adds the phase unless it moves nothing.
void append_phase(std::vector<Phase>& phases, std::vector<Transfer> transfers, std::size_t steps);

}  // namespace fabricast::hw
