// One member's share of the copying and summing that makes up a collective, in memory that all members can reach. Knows no threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/transport.hpp"

namespace fabricast::runtime {

[[nodiscard]] Bytes expected_input(const ExchangeShape& shape, std::size_t member);
[[nodiscard]] Bytes expected_output(const ExchangeShape& shape, std::size_t member);

/// Throws std::runtime_error where the part's input or output is not of the agreed size.
void require_sizes(const ExchangeShape& shape, const Exchange& part);

/// A collective is done in rounds; all members must have ended one before any starts the next.
[[nodiscard]] std::uint32_t rounds_of(hw::CollectiveKind kind);

/// Elements [first, last) of member `index` when `elements` are dealt over the members.
struct Slice {
  std::size_t first, last;
  [[nodiscard]] std::size_t size() const { return last - first; }
};
[[nodiscard]] Slice even_slice(std::size_t elements, std::size_t members, std::size_t index);

/// The part of `member` in a round, given all members' parts. Returns the bytes that it took from others.
Bytes take_part(const ExchangeShape& shape, std::span<const Exchange* const> parts, std::size_t member, std::uint32_t round);

}  // namespace fabricast::runtime
