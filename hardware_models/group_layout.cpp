#include <algorithm>
#include <numeric>

#include "hardware_models/collective_lowering.hpp"

namespace fabricast::hw {

GroupLayout::GroupLayout(std::span<const NodeId> node_of) : members_(node_of.size()) {
  std::iota(members_.begin(), members_.end(), 0);
  const auto on_earlier_node = [&](std::int32_t a, std::int32_t b) { return node_of[a] < node_of[b]; };
  std::stable_sort(members_.begin(), members_.end(), on_earlier_node);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (i == 0 || on_earlier_node(members_[i - 1], members_[i])) node_begin_.push_back(i);
  }
  node_begin_.push_back(members_.size());
}

bool GroupLayout::same_members_on_every_node() const {
  for (std::size_t node = 1; node < nodes(); ++node) {
    if (members_of(node).size() != members_of(0).size()) return false;
  }
  return true;
}

std::span<const std::int32_t> GroupLayout::members_of(std::size_t node) const {
  return std::span(members_).subspan(node_begin_[node], node_begin_[node + 1] - node_begin_[node]);
}

std::vector<std::int32_t> GroupLayout::across_nodes(std::size_t local_index) const {
  std::vector<std::int32_t> result(nodes());
  for (std::size_t node = 0; node < nodes(); ++node) result[node] = members_of(node)[local_index];
  return result;
}

GroupLayout GroupLayout::rooted_at_first_member() const {
  // Member 0 leads its node already: within a node members stand in group order.
  std::size_t root_node = 0;
  while (members_of(root_node).front() != 0) ++root_node;
  GroupLayout result;
  for (std::size_t i = 0; i < nodes(); ++i) {
    const auto node = members_of((root_node + i) % nodes());
    result.node_begin_.push_back(result.members_.size());
    result.members_.insert(result.members_.end(), node.begin(), node.end());
  }
  result.node_begin_.push_back(result.members_.size());
  return result;
}

}  // namespace fabricast::hw
