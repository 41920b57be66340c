// Groups for collective tests: members by the node that they are on.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <map>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::tests {

struct Group {
  std::vector<NodeId> node_of;      // by member
  std::vector<std::size_t> node;    // by member: its node's place among the group's nodes, ascending
  std::vector<std::size_t> local;   // by member: its place among the members of its node
  std::size_t nodes = 0, members_per_node = 0;  // the latter of the fullest node

  explicit Group(const std::vector<int>& nodes_by_member) {
    std::map<int, std::size_t> seen;
    for (const int value : nodes_by_member) {
      node_of.push_back(NodeId{value});
      local.push_back(seen[value]++);
      members_per_node = std::max(members_per_node, seen[value]);
    }
    nodes = seen.size();
    for (const int value : nodes_by_member) node.push_back(static_cast<std::size_t>(std::distance(seen.begin(), seen.find(value))));
  }

  [[nodiscard]] std::size_t size() const { return node_of.size(); }
};

/// Side by side, interleaved, out of order, one node, one member per node, many.
inline std::vector<Group> even_groups() {
  return {Group({0, 0}),
          Group({0, 1}),
          Group({7, 3}),
          Group({3, 3, 3, 3, 3}),
          Group({4, 0, 2}),
          Group({0, 0, 1, 1, 2, 2}),
          Group({0, 1, 0, 1}),
          Group({5, 2, 2, 5, 9, 9}),
          Group({0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3})};
}

inline std::vector<Group> uneven_groups() { return {Group({0, 0, 1}), Group({1, 0, 0, 0, 2, 2}), Group({4, 4, 1, 4, 1, 1, 1, 0})}; }

inline std::vector<Group> multi_node_even_groups() {
  std::vector<Group> groups;
  for (const Group& group : even_groups()) {
    if (group.nodes > 1) groups.push_back(group);
  }
  return groups;
}

inline std::int64_t total(const std::vector<hw::Phase>& phases) {
  std::int64_t bytes = 0;
  for (const hw::Phase& phase : phases) {
    for (const hw::Transfer& transfer : phase.transfers) bytes += transfer.bytes.value();
  }
  return bytes;
}

}  // namespace fabricast::tests
