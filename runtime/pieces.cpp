#include "runtime/pieces.hpp"

#include <numeric>
#include <stdexcept>
#include <utility>

namespace fabricast::runtime {
namespace {

using hw::CollectiveKind;

/// Byte counts of an all-to-all and where its blocks lie.
class Blocks {
 public:
  explicit Blocks(const ExchangeShape& shape) : shape_(shape), n_(static_cast<std::int32_t>(shape.members)) {
    sent_.resize(shape.counts.size());
    received_.resize(shape.counts.size());
    for (std::int32_t a = 0; a < n_; ++a) {
      std::int64_t sent = 0, received = 0;
      for (std::int32_t b = 0; b < n_; ++b) {
        sent_[at(a, b)] = sent;
        received_[at(b, a)] = received;
        sent += bytes(a, b);
        received += bytes(b, a);
      }
    }
  }
  [[nodiscard]] std::int32_t members() const { return n_; }
  [[nodiscard]] std::int64_t bytes(std::int32_t source, std::int32_t destination) const { return shape_.counts[at(source, destination)].value(); }
  [[nodiscard]] std::int64_t in_input(std::int32_t source, std::int32_t destination) const { return sent_[at(source, destination)]; }
  [[nodiscard]] std::int64_t in_output(std::int32_t source, std::int32_t destination) const { return received_[at(source, destination)]; }

 private:
  [[nodiscard]] std::size_t at(std::int32_t source, std::int32_t destination) const {
    return static_cast<std::size_t>(source) * shape_.members + static_cast<std::size_t>(destination);
  }
  const ExchangeShape& shape_;
  std::int32_t n_;
  std::vector<std::int64_t> sent_, received_;   // offsets, [source][destination]
};

void append(std::vector<Piece>& pieces, const Piece& piece) {
  if (piece.bytes == 0) return;
  if (!pieces.empty()) {
    Piece& last = pieces.back();
    const bool goes_on = last.source == piece.source && last.destination == piece.destination &&
                         last.from_scratch == piece.from_scratch && last.to_scratch == piece.to_scratch &&
                         last.source_offset + last.bytes == piece.source_offset &&
                         last.destination_offset + last.bytes == piece.destination_offset;
    if (goes_on) {
      last.bytes += piece.bytes;
      return;
    }
  }
  pieces.push_back(piece);
}

std::vector<Piece> gathered(const ExchangeShape& shape) {
  std::vector<Piece> pieces;
  std::int64_t offset = 0;
  for (std::size_t source = 0; source < shape.members; ++source) {
    for (std::size_t destination = 0; destination < shape.members; ++destination) {
      append(pieces, {static_cast<std::int32_t>(source), static_cast<std::int32_t>(destination), 0, offset, shape.counts[source].value()});
    }
    offset += shape.counts[source].value();
  }
  return pieces;
}

/// Where the pieces of an all-to-all are on their way: at their source, in the scratch memory of a relay, or at their destination.
class Relays {
 public:
  explicit Relays(const ExchangeShape& shape) : blocks_(shape), members_(shape.members), scratch_at_(shape.counts.size(), -1) {
    copies_.scratch.resize(shape.members);
    copies_.hops.resize(shape.route.size());
    for (std::int32_t m = 0; m < blocks_.members(); ++m) {
      append(copies_.hops.front(), {m, m, blocks_.in_input(m, m), blocks_.in_output(m, m), blocks_.bytes(m, m)});
    }
    for (std::size_t hop = 0; hop < shape.route.size(); ++hop) {
      for (const hw::RoutedTransfer& transfer : shape.route[hop]) {
        for (const hw::Piece piece : transfer.pieces) pass_on(hop, transfer, piece);
      }
    }
  }
  [[nodiscard]] Copies take() { return std::move(copies_); }

 private:
  void pass_on(std::size_t hop, const hw::RoutedTransfer& transfer, hw::Piece piece) {
    std::int64_t& stored = scratch_at_[static_cast<std::size_t>(piece.source) * members_ + static_cast<std::size_t>(piece.destination)];
    const std::int64_t bytes = blocks_.bytes(piece.source, piece.destination);
    const bool is_at_source = transfer.source == piece.source, arrives = transfer.destination == piece.destination;
    Piece copy{transfer.source, transfer.destination, is_at_source ? blocks_.in_input(piece.source, piece.destination) : stored,
               blocks_.in_output(piece.source, piece.destination), bytes, !is_at_source, !arrives};
    if (!arrives) {
      std::int64_t& used = copies_.scratch[static_cast<std::size_t>(transfer.destination)];
      stored = copy.destination_offset = used;
      used += bytes;
    }
    append(copies_.hops[hop], copy);
  }

  Blocks blocks_;
  std::size_t members_;
  std::vector<std::int64_t> scratch_at_;   // by piece: its place in the relay's scratch memory
  Copies copies_;
};

std::vector<Piece> direct_copies(const ExchangeShape& shape) {
  std::vector<Piece> pieces;
  const auto last = static_cast<std::int32_t>(shape.members);
  switch (shape.kind) {
    case CollectiveKind::all_gather: return gathered(shape);
    case CollectiveKind::broadcast:
      for (std::int32_t i = 0; i < last; ++i) append(pieces, {0, i, 0, 0, shape.counts[0].value()});
      return pieces;
    case CollectiveKind::send: append(pieces, {0, 1, 0, 0, shape.counts[0].value()}); return pieces;
    case CollectiveKind::all_to_all: {
      const Blocks blocks(shape);
      for (std::int32_t s = 0; s < last; ++s) {
        for (std::int32_t d = 0; d < last; ++d) append(pieces, {s, d, blocks.in_input(s, d), blocks.in_output(s, d), blocks.bytes(s, d)});
      }
      return pieces;
    }
    case CollectiveKind::all_reduce:
    case CollectiveKind::reduce_scatter: break;
  }
  throw std::invalid_argument("a collective that sums is no list of copies");
}

}  // namespace

Copies copies_of(const ExchangeShape& shape) {
  if (!shape.route.empty()) return Relays(shape).take();
  return {{direct_copies(shape)}, std::vector<std::int64_t>(shape.members)};
}

Bytes bytes_between_members(const ExchangeShape& shape) {
  const auto others = static_cast<std::int64_t>(shape.members) - 1;
  const Bytes all = std::accumulate(shape.counts.begin(), shape.counts.end(), Bytes{});
  if (shape.kind == CollectiveKind::all_reduce) return all * (2 * others);       // each sums a part of the others', and fetches the rest
  if (shape.kind == CollectiveKind::reduce_scatter) return all * others;         // each sums its shard of the others'
  Bytes moved;
  for (const auto& hop : copies_of(shape).hops) {
    for (const Piece& piece : hop) moved += Bytes(piece.source == piece.destination ? 0 : piece.bytes);
  }
  return moved;
}

}  // namespace fabricast::runtime
