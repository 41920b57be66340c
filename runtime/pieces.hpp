// Collectives as copies between members' buffers: who takes which bytes from whom. Knows sizes only; no data, no ranks, no library.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/transport.hpp"

namespace fabricast::runtime {

/// Bytes [source_offset, + bytes) of one member's buffer that become bytes [destination_offset, + bytes) of another's.
struct Piece {
  std::int32_t source, destination;
  std::int64_t source_offset, destination_offset, bytes;
  friend bool operator==(const Piece&, const Piece&) = default;
};

/// From inputs to outputs; own shares, too. By source, then destination; none is empty. For all kinds but those that sum.
[[nodiscard]] std::vector<Piece> copies_of(const ExchangeShape& shape);

/// The hierarchical all-to-all of hardware_models/collectives.hpp. First hop: from inputs to the scratch memory of the member of the
/// sender's node that has the destination's local index. Second: from there to the outputs. Neighbours in both buffers are one piece.
struct TwoHops {
  std::vector<Piece> first, second;
  std::vector<std::int64_t> scratch;     // bytes, by member
};

/// node_of by member; hw::applies must hold.
[[nodiscard]] TwoHops hierarchical_copies(const ExchangeShape& shape, std::span<const NodeId> node_of);

/// What the members take from each other in all, own shares apart: copies, and the inputs of a sum.
[[nodiscard]] Bytes bytes_between_members(const ExchangeShape& shape);

}  // namespace fabricast::runtime
