#include "runtime/pieces.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <stdexcept>

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

/// Each member's node and its place among the members there.
struct Layout {
  std::vector<std::int32_t> local;                                  // by member
  std::map<NodeId, std::vector<std::int32_t>> members;              // of each node, in group order
};

Layout layout_of(std::span<const NodeId> node_of) {
  Layout layout;
  for (std::size_t i = 0; i < node_of.size(); ++i) {
    auto& here = layout.members[node_of[i]];
    layout.local.push_back(static_cast<std::int32_t>(here.size()));
    here.push_back(static_cast<std::int32_t>(i));
  }
  return layout;
}

}  // namespace

std::vector<Piece> copies_of(const ExchangeShape& shape) {
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

TwoHops hierarchical_copies(const ExchangeShape& shape, std::span<const NodeId> node_of) {
  const Blocks blocks(shape);
  const Layout layout = layout_of(node_of);
  TwoHops hops;
  hops.scratch.resize(shape.members);
  for (std::int32_t destination = 0; destination < blocks.members(); ++destination) {
    const std::int32_t local = layout.local[static_cast<std::size_t>(destination)];
    for (const auto& [node, senders] : layout.members) {
      const std::int32_t between = senders[static_cast<std::size_t>(local)];
      std::int64_t& used = hops.scratch[static_cast<std::size_t>(between)];
      for (const std::int32_t source : senders) {
        const std::int64_t bytes = blocks.bytes(source, destination);
        append(hops.first, {source, between, blocks.in_input(source, destination), used, bytes});
        append(hops.second, {between, destination, used, blocks.in_output(source, destination), bytes});
        used += bytes;
      }
    }
  }
  return hops;
}

Bytes bytes_between_members(const ExchangeShape& shape) {
  const auto others = static_cast<std::int64_t>(shape.members) - 1;
  const Bytes all = std::accumulate(shape.counts.begin(), shape.counts.end(), Bytes{});
  if (shape.kind == CollectiveKind::all_reduce) return all * (2 * others);       // each sums a part of the others', and fetches the rest
  if (shape.kind == CollectiveKind::reduce_scatter) return all * others;         // each sums its shard of the others'
  Bytes moved;
  for (const Piece& piece : copies_of(shape)) moved += Bytes(piece.source == piece.destination ? 0 : piece.bytes);
  return moved;
}

}  // namespace fabricast::runtime
