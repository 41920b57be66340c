// Collectives as copies between members' buffers: who takes which bytes from whom. Knows sizes only; no data, no ranks, no library.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/transport.hpp"

namespace fabricast::runtime {

/// Bytes [source_offset, + bytes) of one member's input (or scratch memory) that become bytes [destination_offset, + bytes) of another's
/// output (or scratch memory).
struct Piece {
  std::int32_t source, destination;
  std::int64_t source_offset, destination_offset, bytes;
  bool from_scratch = false, to_scratch = false;
  friend bool operator==(const Piece&, const Piece&) = default;
};

/// Hops one after the other; the pieces of a hop in any order, or at once. Relays keep what they pass on in scratch memory.
struct Copies {
  std::vector<std::vector<Piece>> hops;
  std::vector<std::int64_t> scratch;     // bytes, by member
};

/// Own shares, too. None is empty; neighbours at both ends are one. An all-to-all goes over its shape's route where it has one. For all kinds
/// but those that sum.
[[nodiscard]] Copies copies_of(const ExchangeShape& shape);

/// What the members take from each other in all, own shares apart: copies, and the inputs of a sum.
[[nodiscard]] Bytes bytes_between_members(const ExchangeShape& shape);

}  // namespace fabricast::runtime
