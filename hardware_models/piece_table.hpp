// What the members of an all-to-all have for one another, where few of them differ: by kinds of members instead of pair by pair. Knows no
// topology, no algorithm and no time.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::hw {

struct PieceTable {
  std::vector<std::int32_t> sends_as, receives_as;   // by member: its kind as a sender, as a receiver
  std::int32_t senders = 0, receivers = 0;           // kinds, each numbered from 0
  std::vector<Bytes> pieces;                         // [kind of sender · receivers + kind of receiver], a member's piece for itself included
  friend auto operator<=>(const PieceTable&, const PieceTable&) = default;

  [[nodiscard]] std::size_t members() const { return sends_as.size(); }
  [[nodiscard]] Bytes between(std::int32_t sender, std::int32_t receiver) const { return pieces[sender * receivers + receiver]; }
  [[nodiscard]] Bytes of(std::int32_t source, std::int32_t destination) const { return between(sends_as[source], receives_as[destination]); }
};

/// `members` of one kind.
[[nodiscard]] PieceTable equal_pieces(std::size_t members, Bytes piece);

/// By kind of sender what each of them sends, and by kind of receiver what each of them receives: its piece for itself included.
[[nodiscard]] std::vector<Bytes> sent_by(const PieceTable& table);
[[nodiscard]] std::vector<Bytes> received_by(const PieceTable& table);

/// As many counts as pairs, as in collectives.hpp.
[[nodiscard]] std::vector<Bytes> counts_of(const PieceTable& table);
/// The mean send buffer, as size_of gives for counts_of.
[[nodiscard]] Bytes size_of(const PieceTable& table);

}  // namespace fabricast::hw
