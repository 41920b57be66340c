#include <stdexcept>

#include "hardware_models/collective_lowering.hpp"

namespace fabricast::hw {
namespace {

/// Builds the phases of one collective over a layout with `local_` members on each of `nodes_` nodes.
class TwoLevel {
 public:
  explicit TwoLevel(const GroupLayout& layout) : layout_(layout), nodes_(layout.nodes()), local_(layout.members_of(0).size()) {}

  // Reduce-scatter in the node, all-reduce of S/g per local index, all-gather in the node.
  std::vector<Phase> all_reduce(Bytes size) {
    const std::vector<Bytes> shards = even_shards(size, local_);
    reduce_scatter_in_nodes(shards);
    across_nodes(2 * (nodes_ - 1), [&](std::size_t local, const auto& ring, auto& transfers) {
      append_ring_all_reduce(ring, shards[local], transfers);
    });
    all_gather_in_nodes(shards, 0);
    return pipelined();
  }

  // First across nodes, so that a shard crosses into a node once; then each member passes on the shards of its local index.
  std::vector<Phase> all_gather(CollectiveCounts counts) {
    across_nodes(nodes_ - 1, [&](std::size_t, const auto& ring, auto& transfers) {
      append_ring_all_gather(ring, shards_along(ring, counts), transfers);
    });
    all_gather_in_nodes(sums_by_local_index(counts), 0);
    return pipelined();
  }

  // The all-gather run backwards: sums within the node first, so that one partial sum per shard leaves it.
  std::vector<Phase> reduce_scatter(CollectiveCounts counts) {
    reduce_scatter_in_nodes(sums_by_local_index(counts));
    across_nodes(nodes_ - 1, [&](std::size_t, const auto& ring, auto& transfers) {
      append_ring_reduce_scatter(ring, shards_along(ring, counts), transfers);
    });
    return pipelined();
  }

  // The whole in the root's node (node 0 of a rooted layout), S/g per local index across nodes, all-gather in every other node.
  std::vector<Phase> broadcast(Bytes size) {
    const std::vector<Bytes> shards = even_shards(size, local_);
    std::vector<Transfer> in_root_node;
    append_chain_broadcast(layout_.members_of(0), size, in_root_node);
    append_phase(phases_, std::move(in_root_node), local_ - 1);
    across_nodes(nodes_ - 1, [&](std::size_t local, const auto& chain, auto& transfers) {
      append_chain_broadcast(chain, shards[local], transfers);
    });
    all_gather_in_nodes(shards, 1);
    return pipelined();
  }

 private:
  std::vector<Phase> pipelined() {
    pipeline(phases_);
    return std::move(phases_);
  }

  template <class Append>
  void across_nodes(std::size_t steps, Append append_ring) {
    std::vector<Transfer> transfers;
    transfers.reserve(nodes_ * local_);
    for (std::size_t local = 0; local < local_; ++local) append_ring(local, layout_.across_nodes(local), transfers);
    append_phase(phases_, std::move(transfers), steps);
  }

  void reduce_scatter_in_nodes(std::span<const Bytes> shards) {
    std::vector<Transfer> transfers;
    transfers.reserve(nodes_ * local_);
    for (std::size_t node = 0; node < nodes_; ++node) append_ring_reduce_scatter(layout_.members_of(node), shards, transfers);
    append_phase(phases_, std::move(transfers), local_ - 1);
  }

  void all_gather_in_nodes(std::span<const Bytes> shards, std::size_t first_node) {
    std::vector<Transfer> transfers;
    transfers.reserve(nodes_ * local_);
    for (std::size_t node = first_node; node < nodes_; ++node) append_ring_all_gather(layout_.members_of(node), shards, transfers);
    append_phase(phases_, std::move(transfers), local_ - 1);
  }

  std::vector<Bytes> sums_by_local_index(CollectiveCounts counts) const {
    std::vector<Bytes> sums(local_);
    for (std::size_t node = 0; node < nodes_; ++node) {
      for (std::size_t local = 0; local < local_; ++local) sums[local] += counts[layout_.members_of(node)[local]];
    }
    return sums;
  }

  const GroupLayout& layout_;
  std::size_t nodes_, local_;
  std::vector<Phase> phases_;
};

}  // namespace

std::vector<Phase> lower_two_level(CollectiveKind kind, const GroupLayout& layout, CollectiveCounts counts) {
  switch (kind) {
    case CollectiveKind::all_reduce: return TwoLevel(layout).all_reduce(counts[0]);
    case CollectiveKind::all_gather: return TwoLevel(layout).all_gather(counts);
    case CollectiveKind::reduce_scatter: return TwoLevel(layout).reduce_scatter(counts);
    case CollectiveKind::broadcast: {
      const GroupLayout rooted = layout.rooted_at_first_member();
      return TwoLevel(rooted).broadcast(counts[0]);
    }
    case CollectiveKind::all_to_all:
    case CollectiveKind::send: break;
  }
  throw std::logic_error("two levels run no all-to-all and no send");
}

}  // namespace fabricast::hw
