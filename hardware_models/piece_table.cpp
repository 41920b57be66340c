#include "hardware_models/piece_table.hpp"

namespace fabricast::hw {
namespace {

std::vector<std::int64_t> members_by(const std::vector<std::int32_t>& kind_of, std::int32_t kinds) {
  std::vector<std::int64_t> members(static_cast<std::size_t>(kinds));
  for (const std::int32_t kind : kind_of) ++members[kind];
  return members;
}

}  // namespace

PieceTable equal_pieces(std::size_t members, Bytes piece) {
  return {std::vector<std::int32_t>(members), std::vector<std::int32_t>(members), 1, 1, {piece}};
}

std::vector<Bytes> sent_by(const PieceTable& table) {
  const std::vector<std::int64_t> receive = members_by(table.receives_as, table.receivers);
  std::vector<Bytes> sent(static_cast<std::size_t>(table.senders));
  for (std::int32_t s = 0; s < table.senders; ++s) {
    for (std::int32_t r = 0; r < table.receivers; ++r) sent[s] += table.between(s, r) * receive[r];
  }
  return sent;
}

std::vector<Bytes> received_by(const PieceTable& table) {
  const std::vector<std::int64_t> send = members_by(table.sends_as, table.senders);
  std::vector<Bytes> received(static_cast<std::size_t>(table.receivers));
  for (std::int32_t s = 0; s < table.senders; ++s) {
    for (std::int32_t r = 0; r < table.receivers; ++r) received[r] += table.between(s, r) * send[s];
  }
  return received;
}

std::vector<Bytes> counts_of(const PieceTable& table) {
  std::vector<Bytes> counts;
  counts.reserve(table.members() * table.members());
  for (const std::int32_t sender : table.sends_as) {
    for (const std::int32_t receiver : table.receives_as) counts.push_back(table.between(sender, receiver));
  }
  return counts;
}

Bytes size_of(const PieceTable& table) {
  const std::vector<Bytes> sent = sent_by(table);
  Bytes sum{};
  for (const std::int32_t sender : table.sends_as) sum += sent[sender];
  return sum / static_cast<std::int64_t>(table.members());
}

}  // namespace fabricast::hw
