#include "runtime/relay.hpp"

#include <cassert>
#include <cstring>

namespace fabricast::runtime {

Relay::Relay(const ExchangeShape& shape, std::size_t member) : shape_(&shape), member_(member), store_at_(shape.counts.size(), -1) {
  std::size_t in = 0, out = 0, stored = 0;
  const auto self = static_cast<std::int32_t>(member);
  for (std::int32_t other = 0; other < static_cast<std::int32_t>(shape.members); ++other) {
    input_at_.push_back(in);
    output_at_.push_back(out);
    in += size_of({self, other});
    out += size_of({other, self});
  }
  for (const auto& phase : shape.route) {
    for (const hw::RoutedTransfer& transfer : phase) {
      if (transfer.destination != self) continue;
      for (const hw::Piece piece : transfer.pieces) {
        if (piece.destination == self) continue;
        store_at_[index_of(piece)] = static_cast<std::ptrdiff_t>(stored);
        stored += size_of(piece);
      }
    }
  }
  store_.resize(stored);
}

void Relay::begin(const Exchange& part) {
  part_ = part;
  const auto self = static_cast<std::int32_t>(member_);
  const hw::Piece own{self, self};
  if (size_of(own) > 0) std::memcpy(part.output.data() + output_at_[member_], part.input.data() + input_at_[member_], size_of(own));
}

std::span<const std::byte> Relay::piece(hw::Piece piece) const {
  if (piece.source == static_cast<std::int32_t>(member_)) {
    return part_.input.subspan(input_at_[static_cast<std::size_t>(piece.destination)], size_of(piece));
  }
  assert(store_at_[index_of(piece)] >= 0 && "a piece that this member passes on");
  return std::span(store_).subspan(static_cast<std::size_t>(store_at_[index_of(piece)]), size_of(piece));
}

std::span<std::byte> Relay::place_for(hw::Piece piece) {
  if (piece.destination == static_cast<std::int32_t>(member_)) {
    return part_.output.subspan(output_at_[static_cast<std::size_t>(piece.source)], size_of(piece));
  }
  assert(store_at_[index_of(piece)] >= 0 && "a piece that this member passes on");
  return std::span(store_).subspan(static_cast<std::size_t>(store_at_[index_of(piece)]), size_of(piece));
}

std::vector<const hw::RoutedTransfer*> Relay::incoming(std::size_t phase) const {
  std::vector<const hw::RoutedTransfer*> found;
  for (const hw::RoutedTransfer& transfer : shape_->route[phase]) {
    if (transfer.destination == static_cast<std::int32_t>(member_)) found.push_back(&transfer);
  }
  return found;
}

std::vector<const hw::RoutedTransfer*> Relay::outgoing(std::size_t phase) const {
  std::vector<const hw::RoutedTransfer*> found;
  for (const hw::RoutedTransfer& transfer : shape_->route[phase]) {
    if (transfer.source == static_cast<std::int32_t>(member_)) found.push_back(&transfer);
  }
  return found;
}

std::size_t Relay::index_of(hw::Piece piece) const {
  return static_cast<std::size_t>(piece.source) * shape_->members + static_cast<std::size_t>(piece.destination);
}

std::size_t Relay::size_of(hw::Piece piece) const { return static_cast<std::size_t>(shape_->counts[index_of(piece)].value()); }

}  // namespace fabricast::runtime
