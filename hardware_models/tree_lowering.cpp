#include <algorithm>

#include "hardware_models/collective_lowering.hpp"

namespace fabricast::hw {
namespace {

// In-order binary tree over 0 … n-1: place p with lowest set bit b hangs between its neighbours p - b and p + b, below whichever has 2b set
// as its lowest bit, or the left one where the right one does not exist. 0 is the root.
std::int32_t in_order_parent(std::int32_t p, std::int32_t n) {
  if (p == 0) return 0;
  const std::int32_t bit = p & -p;
  const std::int32_t up = (p - bit) | (2 * bit);
  return up < n ? up : p - bit;
}

std::int32_t depth_of(std::span<const std::int32_t> parent) {
  std::int32_t deepest = 0;
  for (std::size_t p = 0; p < parent.size(); ++p) {
    std::int32_t depth = 0;
    for (auto at = static_cast<std::int32_t>(p); parent[at] != at; at = parent[at]) ++depth;
    deepest = std::max(deepest, depth);
  }
  return deepest;
}

/// Channel l of a node: a chain through all members that ends at local index l.
std::int32_t chain_place(std::span<const std::int32_t> members, std::size_t local, std::size_t from_end) {
  return members[(local + from_end) % members.size()];
}

// Channel l carries shard l. Up: from the far end of its chain to local index l; down: back.
std::vector<Transfer> chains(const GroupLayout& layout, std::span<const Bytes> shards, bool up) {
  std::vector<Transfer> transfers;
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    for (std::size_t local = 0; local < members.size(); ++local) {
      if (shards[local] == Bytes{}) continue;
      for (std::size_t i = 0; i + 1 < members.size(); ++i) {
        const std::int32_t near = chain_place(members, local, i), far = chain_place(members, local, i + 1);
        transfers.push_back({up ? far : near, up ? near : far, shards[local]});
      }
    }
  }
  return transfers;
}

std::vector<Transfer> rail_trees(const GroupLayout& layout, std::span<const Bytes> shards, const DoubleTree& trees, bool up) {
  std::vector<Transfer> transfers;
  for (std::size_t local = 0; local < shards.size(); ++local) {
    const std::vector<std::int32_t> rail = layout.across_nodes(local);
    const std::vector<Bytes> halves = even_shards(shards[local], 2);
    for (std::size_t tree = 0; tree < 2; ++tree) {
      for (std::size_t place = 0; place < rail.size(); ++place) {
        const auto parent = static_cast<std::size_t>(trees.parent[tree][place]);
        if (parent == place || halves[tree] == Bytes{}) continue;
        transfers.push_back({rail[up ? place : parent], rail[up ? parent : place], halves[tree]});
      }
    }
  }
  return transfers;
}

}  // namespace

// The second tree is the first one mirrored (n even) or moved on by one place (n odd), so that leaves become inner places.
DoubleTree double_tree(std::size_t n) {
  DoubleTree result;
  const auto places = static_cast<std::int32_t>(n);
  const auto moved = [&](std::int32_t place) { return places % 2 == 0 ? places - 1 - place : (place + 1) % places; };
  for (auto& parent : result.parent) parent.resize(n);
  for (std::int32_t place = 0; place < places; ++place) {
    const std::int32_t parent = in_order_parent(place, places);
    result.parent[0][place] = parent;
    result.parent[1][moved(place)] = moved(parent);
  }
  result.depth = depth_of(result.parent[0]);
  return result;
}

void append_rail_trees(const GroupLayout& layout, std::span<const Bytes> shards, std::vector<Phase>& phases) {
  const DoubleTree trees = double_tree(layout.nodes());
  for (const bool up : {true, false}) {
    append_phase(phases, rail_trees(layout, shards, trees, up), static_cast<std::size_t>(trees.depth));
  }
}

std::vector<Phase> lower_tree_all_reduce(const GroupLayout& layout, Bytes size) {
  const std::size_t local = layout.members_of(0).size();
  const std::vector<Bytes> shards = even_shards(size, local);
  std::vector<Phase> phases;
  append_phase(phases, chains(layout, shards, true), local - 1);
  append_rail_trees(layout, shards, phases);
  append_phase(phases, chains(layout, shards, false), local - 1);
  pipeline(phases);
  return phases;
}

}  // namespace fabricast::hw
