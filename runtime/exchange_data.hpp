// One member's share of the copying and summing that makes up a collective, in memory that all members can reach. Knows no threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/transport.hpp"

namespace fabricast::runtime {

[[nodiscard]] Bytes expected_input(const ExchangeShape& shape, std::size_t member);
[[nodiscard]] Bytes expected_output(const ExchangeShape& shape, std::size_t member);

/// A collective is done in rounds; all members must have ended one before any starts the next.
[[nodiscard]] std::uint32_t rounds_of(hw::CollectiveKind kind);

/// The part of `member` in a round, given all members' parts. Returns the bytes that it took from others.
Bytes take_part(const ExchangeShape& shape, std::span<const Exchange* const> parts, std::size_t member, std::uint32_t round);

}  // namespace fabricast::runtime
