// The transfers of an all-to-all, all at once, between members of few kinds: counted by what they have in common, not listed. Knows no class
// of ranks and no simulated time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "hardware_models/topology.hpp"
#include "hardware_models/units.hpp"
#include "sim/step_delay.hpp"

namespace fabricast::sim {

/// What a caller tells members apart by, as one end of a transfer.
using EndKind = std::array<std::uint64_t, 3>;

/// One transfer from each of `sources` to each of `destinations`, but none inside a node where the block crosses nodes, and none from a
/// member to itself where it does not. Their routes differ by the links of their own ends alone.
struct TransferBlock {
  std::span<const std::int32_t> sources, destinations;   // members; the sources are of one kind, and so are the destinations
  std::span<const std::int32_t> sent, received;          // how many transfers each of them has part in
  std::int64_t transfers;                                // in all
  bool crosses_nodes;
  std::int32_t source, destination;                      // one of the transfers
  hw::Route route;                                       // its own
  SimTime delay;
  Bytes payload, wire;                                   // of each
};

class BlockExchange {
 public:
  struct Piece {
    Bytes payload, wire_within, wire_across;             // of a transfer, inside a node and between nodes
  };
  /// As in hw::PieceTable. No transfer where there is no payload.
  struct Pieces {
    std::vector<std::int32_t> sends_as, receives_as;     // by member
    std::int32_t receivers = 1;                          // kinds
    std::vector<Piece> pieces;                           // [kind of sender · receivers + kind of receiver]
  };
  using KindOf = std::function<EndKind(std::int32_t member, std::span<const LinkId> own_links)>;
  using Visit = std::function<void(const TransferBlock&)>;

  /// Are there as many members on each of several nodes, each with a GPU of its own, and do routes between leaves follow from leaf and
  /// destination alone?
  [[nodiscard]] static bool applies(std::span<const GpuId> gpu_of, const hw::Topology& topology);

  /// For a group to which it applies. The topology must outlive it.
  BlockExchange(std::span<const GpuId> gpu_of, const hw::Topology& topology, StepDelay delay, Pieces pieces);

  /// The links at the member's end of a route, in its order: the first of one that it sends over, the last of one that it receives over.
  [[nodiscard]] std::span<const LinkId> links_out(std::int32_t member, bool crosses_nodes) const;
  [[nodiscard]] std::span<const LinkId> links_in(std::int32_t member, bool crosses_nodes) const;

  /// All transfers, in blocks as large as the kinds allow. A member's kind is asked for once with its links out and once with those in, for
  /// transfers inside a node as well as between nodes.
  void for_each_block(const KindOf& kind_of, const Visit& visit) const;

 private:
  /// As a member: its GPU, where its NIC is, and its own links.
  struct Place {
    GpuId gpu;
    std::int32_t node, leaf, spine;
    std::array<LinkId, 2> nvlink, nic_out, nic_in;       // nvlink: out, in
  };
  /// Members [first, last) of a grouping: the same place in the network, the same kinds.
  struct Alike {
    std::int32_t place;                                  // leaf, or node
    std::int32_t kind;                                   // as senders, or as receivers
    std::size_t first, last;
  };
  struct Grouping {
    std::vector<std::int32_t> members;
    std::vector<Alike> groups;
    [[nodiscard]] std::span<const std::int32_t> members_of(const Alike& group) const {
      return std::span(members).subspan(group.first, group.last - group.first);
    }
  };
  enum class End : std::uint8_t { source, destination };

  [[nodiscard]] Grouping group(End end, bool crosses_nodes, const KindOf& kind_of) const;
  void visit_blocks(bool crosses_nodes, const KindOf& kind_of, const Visit& visit) const;

  const hw::Topology* topology_;
  StepDelay delay_;
  Pieces pieces_;
  std::vector<Place> places_;                            // by member
};

}  // namespace fabricast::sim
