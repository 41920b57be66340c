// Collective operations: their names, conventions and lowering to point-to-point transfers. Knows no time and no topology; the node
// of each member is an argument. The one place that knows what "ring", "two-level" or "hierarchical" means.
//
// Size S: for all-reduce, all-gather, reduce-scatter and broadcast the full, unsharded tensor in bytes; for all-to-all each member's
// send buffer, own share included; for send the message.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::hw {

enum class CollectiveKind : std::uint8_t { all_reduce, all_gather, reduce_scatter, broadcast, all_to_all, send };
/// ring: neighbours pass shards on, members ordered by node so that a node is entered once. two_level: ring in the node, ring across
/// nodes for each local index, ring in the node. flat: every pair at once. hierarchical (all-to-all): over NVLink to the member of the
/// node that has the destination's local index, then across nodes between equal local indices. A member's local index is its place among
/// the members of its node, in group order.
enum class CollectiveAlgorithm : std::uint8_t { automatic, ring, two_level, flat, hierarchical };

[[nodiscard]] std::string_view name_of(CollectiveKind kind);
[[nodiscard]] std::string_view name_of(CollectiveAlgorithm algorithm);

/// What each member contributes, in bytes.
///   all_reduce, broadcast: {S} (broadcast: member 0 is the root).
///   all_gather, reduce_scatter: n entries, the shard that member i owns before (after); they sum to S and may differ.
///   all_to_all: n·n entries, [source · n + destination].
///   send: {message}; member 0 sends to member 1.
using CollectiveCounts = std::span<const Bytes>;

/// One transfer between two members (indices into the group).
struct Transfer {
  std::int32_t source, destination;
  Bytes bytes;
};

/// Transfers that run side by side. A phase starts when the one before it has ended. `steps` > 1 says that the phase stands for that
/// many equal, dependent steps: bytes are the sum over them, latency is paid by each. With unequal shards the bytes of each link are
/// still exact, but a step no longer waits for the largest shard under way: the phase is a lower bound of the ring's time, exact for two
/// members. A broadcast chain is taken as pipelined in slices small against S.
struct Phase {
  std::vector<Transfer> transfers;
  std::int32_t steps = 1;
};

/// node_of[i] is member i's node. Members that send nothing produce no transfers, phases without transfers are left out; a group of one
/// produces no phases.
/// Throws std::invalid_argument where the algorithm does not apply to the kind (`automatic` must have been resolved before).
[[nodiscard]] std::vector<Phase> lower(CollectiveKind kind, CollectiveAlgorithm algorithm, std::span<const NodeId> node_of,
                                       CollectiveCounts counts);

/// Can `algorithm` run `kind` on members placed so? ring and two_level run all_reduce, all_gather, reduce_scatter and broadcast; flat runs
/// all_to_all and send; hierarchical runs all_to_all. two_level and hierarchical need the same number of members on every node and more
/// than one node; ring and flat run on any placement. `automatic` is no algorithm and runs nothing.
[[nodiscard]] bool applies(CollectiveKind kind, CollectiveAlgorithm algorithm, std::span<const NodeId> node_of);

/// busbw / algbw of nccl-tests: all-reduce 2(n-1)/n; all-gather, reduce-scatter, all-to-all (n-1)/n; else 1.
[[nodiscard]] double bus_factor(CollectiveKind kind, std::int64_t members);

}  // namespace fabricast::hw
