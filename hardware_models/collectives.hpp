// Collective operations: their names, conventions and lowering to point-to-point transfers. Knows no time and no topology; the node
// of each member is an argument. The one place that knows what "ring", "two-level" or "hierarchical" means.
//
// Size S: for all-reduce, all-gather, reduce-scatter and broadcast the full, unsharded tensor in bytes; for all-to-all each member's
// send buffer, own share included; for send the message.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::hw {

enum class CollectiveKind : std::uint8_t { all_reduce, all_gather, reduce_scatter, broadcast, all_to_all, send };
inline constexpr std::array all_collective_kinds{CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                                                 CollectiveKind::broadcast,  CollectiveKind::all_to_all, CollectiveKind::send};
/// A member's local index is its place among the members of its node, in group order; a rail joins equal local indices.
enum class CollectiveAlgorithm : std::uint8_t {
  automatic,
  ring,          // neighbours pass shards on, members ordered by node so that a node is entered once
  two_level,     // ring in the node, ring across nodes on each rail, ring in the node
  flat,          // every pair at once
  hierarchical,  // all-to-all: over NVLink to the member on the destination's rail, then across nodes on the rails
  rail_ring,     // all-reduce: a ring per rail (NCCL's channels), each entering and leaving every node by its own rail (PXN)
  tree,          // all-reduce: a chain in the node, a double binary tree across nodes on each rail, and back
  nvls,          // all-reduce in one node: the NVSwitch reduces and multicasts (NVLink SHARP)
  nvls_tree,     // all-reduce: NVLS in the node, a double binary tree across nodes on each rail
  sharp,         // all-reduce: direct exchange in the node, the network's switches reduce each rail (NCCL's CollNet direct)
  pairwise,      // all-to-all: n-1 rounds, in round k to the k-th next member
  deduplicated,  // all-to-all of tokens: once per node and member, however many choices a token has there (DeepEP's normal kernels)
  low_latency,   // all-to-all of tokens: every row straight to its destination, driven by the NICs (DeepEP's low-latency kernels)
};

[[nodiscard]] std::string_view name_of(CollectiveKind kind);
[[nodiscard]] std::string_view name_of(CollectiveAlgorithm algorithm);

/// What each member contributes, in bytes.
///   all_reduce, broadcast: {S} (broadcast: member 0 is the root).
///   all_gather, reduce_scatter: n entries, the shard that member i owns before (after); they sum to S and may differ.
///   all_to_all: n·n entries, [source · n + destination]; piece_table.hpp where few members differ.
///   send: {message}; member 0 sends to member 1.
using CollectiveCounts = std::span<const Bytes>;

/// What an all-to-all of rows says about the tokens behind them.
struct TokenRouting {
  Bytes row{1};
  std::int64_t top_k = 1, experts = 1;
  bool combine = false;              // rows go back to the tokens' owners
  double reach = 1.0;                // share of the experts that one token's choices come from, where its groups (nodes) are limited
  friend auto operator<=>(const TokenRouting&, const TokenRouting&) = default;
};

/// In place of a member: a switch that adds what its members send, and sends the same to several of them. The other end says which switch.
constexpr std::int32_t node_switch = -1;     // NVSwitch plane of the node
constexpr std::int32_t network_switch = -2;  // leaf of the rail
[[nodiscard]] constexpr bool is_switch(std::int32_t end) { return end < 0; }

/// One transfer between two members (indices into the group), or a member and a switch.
struct Transfer {
  std::int32_t source, destination;
  Bytes bytes;
};

/// Transfers that run side by side. A phase starts when the one before it has ended, or works on the pieces that the one before it has
/// done with where it is `pipelined` with that. `steps` > 1 says that the phase stands for that
/// many equal, dependent steps: bytes are the sum over them, latency is paid by each. With unequal shards the bytes of each link are
/// still exact, but a step no longer waits for the largest shard under way: the phase is a lower bound of the ring's time, exact for two
/// members. A broadcast chain is taken as pipelined in slices small against S.
struct Phase {
  std::vector<Transfer> transfers;
  std::int32_t steps = 1;
  std::optional<std::int32_t> crossings = {};  // how many of the steps cross nodes, where some do and some do not
  bool pipelined = false;
};

/// node_of[i] is member i's node. Members that send nothing produce no transfers, phases without transfers are left out; a group of one
/// produces no phases.
/// Throws std::invalid_argument where the algorithm does not apply to the kind (`automatic` must have been resolved before). Only the
/// deduplicated form looks at `tokens`; without, every row is a token of its own.
[[nodiscard]] std::vector<Phase> lower(CollectiveKind kind, CollectiveAlgorithm algorithm, std::span<const NodeId> node_of,
                                       CollectiveCounts counts, const TokenRouting& tokens = {});

/// Can `algorithm` run `kind` on members placed so? ring and two_level run all_reduce, all_gather, reduce_scatter and broadcast; flat runs
/// all_to_all and send; hierarchical, pairwise, deduplicated and low_latency run all_to_all, the rest all_reduce. two_level, hierarchical,
/// rail_ring, nvls_tree and sharp need the same number of members on every node and more than one node, tree and deduplicated the same
/// number on every node, nvls one node with several members; ring, flat, pairwise and low_latency run on any placement. `automatic` is no
/// algorithm and runs nothing. Whether the switches can reduce is the topology's to say.
[[nodiscard]] bool applies(CollectiveKind kind, CollectiveAlgorithm algorithm, std::span<const NodeId> node_of);

/// S: the single count, the sum of the shards, or the mean send buffer of an all-to-all.
[[nodiscard]] Bytes size_of(CollectiveKind kind, std::size_t members, CollectiveCounts counts);

/// busbw / algbw of nccl-tests: all-reduce 2(n-1)/n; all-gather, reduce-scatter, all-to-all (n-1)/n; else 1.
[[nodiscard]] double bus_factor(CollectiveKind kind, std::int64_t members);

}  // namespace fabricast::hw
