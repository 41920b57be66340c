#include "hardware_models/collective_lowering.hpp"

namespace fabricast::hw {
namespace {

void add(std::vector<Transfer>& transfers, std::int32_t source, std::int32_t destination, Bytes bytes) {
  if (bytes > Bytes{}) transfers.push_back({source, destination, bytes});
}

// multimem.ld_reduce: the member with local index l asks the switch for the sum of shard l. The switch reads that shard from every member,
// the asking one included: each sends S and receives its shard.
std::vector<Transfer> reduce_in_nodes(const GroupLayout& layout, Bytes size, std::span<const Bytes> shards) {
  std::vector<Transfer> transfers;
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    for (std::size_t local = 0; local < members.size(); ++local) {
      add(transfers, members[local], node_switch, size);
      add(transfers, node_switch, members[local], shards[local]);
    }
  }
  return transfers;
}

// multimem.st: the member with local index l sends shard l once, and the switch writes it to every member, the sending one included.
std::vector<Transfer> multicast_in_nodes(const GroupLayout& layout, Bytes size, std::span<const Bytes> shards) {
  std::vector<Transfer> transfers;
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    for (std::size_t local = 0; local < members.size(); ++local) {
      add(transfers, members[local], node_switch, shards[local]);
      add(transfers, node_switch, members[local], size);
    }
  }
  return transfers;
}

// Every member sends shard l to the member with local index l (or gets it from there), all at once.
std::vector<Transfer> exchange_in_nodes(const GroupLayout& layout, std::span<const Bytes> shards, bool gather) {
  std::vector<Transfer> transfers;
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    for (std::size_t local = 0; local < members.size(); ++local) {
      for (std::size_t other = 0; other < members.size(); ++other) {
        if (other == local) continue;
        add(transfers, members[gather ? local : other], members[gather ? other : local], shards[local]);
      }
    }
  }
  return transfers;
}

// The network adds up each rail's shard: every member sends it once and receives the sum once.
std::vector<Transfer> reduce_in_network(const GroupLayout& layout, std::span<const Bytes> shards) {
  std::vector<Transfer> transfers;
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    for (std::size_t local = 0; local < members.size(); ++local) {
      add(transfers, members[local], network_switch, shards[local]);
      add(transfers, network_switch, members[local], shards[local]);
    }
  }
  return transfers;
}

}  // namespace

// One kernel reduces and multicasts slice by slice: both at once, two steps.
std::vector<Phase> lower_nvls_all_reduce(const GroupLayout& layout, Bytes size) {
  const std::vector<Bytes> shards = even_shards(size, layout.members().size());
  std::vector<Transfer> transfers = reduce_in_nodes(layout, size, shards);
  const std::vector<Transfer> multicast = multicast_in_nodes(layout, size, shards);
  transfers.insert(transfers.end(), multicast.begin(), multicast.end());
  std::vector<Phase> phases;
  append_phase(phases, std::move(transfers), 2);
  return phases;
}

std::vector<Phase> lower_nvls_tree_all_reduce(const GroupLayout& layout, Bytes size) {
  const std::vector<Bytes> shards = even_shards(size, layout.members_of(0).size());
  std::vector<Phase> phases;
  append_phase(phases, reduce_in_nodes(layout, size, shards), 1);
  append_rail_trees(layout, shards, phases);
  append_phase(phases, multicast_in_nodes(layout, size, shards), 1);
  pipeline(phases);
  return phases;
}

std::vector<Phase> lower_sharp_all_reduce(const GroupLayout& layout, Bytes size) {
  const std::vector<Bytes> shards = even_shards(size, layout.members_of(0).size());
  std::vector<Phase> phases;
  append_phase(phases, exchange_in_nodes(layout, shards, false), 1);
  append_phase(phases, reduce_in_network(layout, shards), 1);
  append_phase(phases, exchange_in_nodes(layout, shards, true), 1);
  pipeline(phases);
  return phases;
}

}  // namespace fabricast::hw
