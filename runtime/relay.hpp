// A member's part of an all-to-all that goes over relays: which pieces it takes from whom in each phase, and where it keeps those that it is
// to pass on. Knows no threads and no processes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/transport.hpp"

namespace fabricast::runtime {

class Relay {
 public:
  /// The shape must outlive it and have a route.
  Relay(const ExchangeShape& shape, std::size_t member);

  /// Before each round 0. Copies what the member keeps for itself.
  void begin(const Exchange& part);

  [[nodiscard]] std::size_t phases() const { return shape_->route.size(); }

  /// Where a piece that this member holds lies: in its input, in its store of pieces to pass on, or in its output.
  [[nodiscard]] std::span<const std::byte> piece(hw::Piece piece) const;
  /// Where a piece that arrives at this member belongs: its place in the output, or in the store.
  [[nodiscard]] std::span<std::byte> place_for(hw::Piece piece);

  /// The transfers of a phase that end (start) at this member.
  [[nodiscard]] std::vector<const hw::RoutedTransfer*> incoming(std::size_t phase) const;
  [[nodiscard]] std::vector<const hw::RoutedTransfer*> outgoing(std::size_t phase) const;

 private:
  [[nodiscard]] std::size_t size_of(hw::Piece piece) const;
  [[nodiscard]] std::size_t index_of(hw::Piece piece) const;

  const ExchangeShape* shape_;
  std::size_t member_;
  Exchange part_{};
  std::vector<std::size_t> input_at_, output_at_;   // by destination; by source
  std::vector<std::ptrdiff_t> store_at_;            // by piece; -1: not passed on here
  std::vector<std::byte> store_;
};

}  // namespace fabricast::runtime
