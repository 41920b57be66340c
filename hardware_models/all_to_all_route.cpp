#include "hardware_models/all_to_all_route.hpp"

#include <map>
#include <stdexcept>
#include <utility>

#include "hardware_models/collective_lowering.hpp"

namespace fabricast::hw {
namespace {

/// Where a piece goes next: to the member of its holder's node that has the destination's local index, and from there to the destination.
class NextHop {
 public:
  NextHop(CollectiveAlgorithm algorithm, std::span<const NodeId> node_of) : direct_(algorithm != CollectiveAlgorithm::hierarchical) {
    if (direct_) return;
    const GroupLayout layout(node_of);
    node_.resize(node_of.size());
    local_.resize(node_of.size());
    for (std::size_t node = 0; node < layout.nodes(); ++node) {
      const auto members = layout.members_of(node);
      for (std::size_t local = 0; local < members.size(); ++local) {
        node_[static_cast<std::size_t>(members[local])] = node;
        local_[static_cast<std::size_t>(members[local])] = local;
      }
      members_.emplace_back(members.begin(), members.end());
    }
  }

  [[nodiscard]] std::int32_t of(std::int32_t holder, std::int32_t destination) const {
    if (direct_) return destination;
    const auto h = static_cast<std::size_t>(holder), d = static_cast<std::size_t>(destination);
    return local_[h] == local_[d] ? destination : members_[node_[h]][local_[d]];
  }

 private:
  bool direct_;
  std::vector<std::size_t> node_, local_;              // by member
  std::vector<std::vector<std::int32_t>> members_;     // by node, then local index
};

using Hop = std::pair<std::int32_t, std::int32_t>;

}  // namespace

std::vector<std::vector<RoutedTransfer>> route_all_to_all(CollectiveAlgorithm algorithm, std::span<const NodeId> node_of,
                                                          CollectiveCounts counts) {
  const std::vector<Phase> phases = lower(CollectiveKind::all_to_all, algorithm, node_of, counts);
  const auto n = static_cast<std::int32_t>(node_of.size());
  const auto size_of = [&](Piece piece) { return counts[static_cast<std::size_t>(piece.source * n + piece.destination)]; };
  const NextHop next(algorithm, node_of);
  std::vector<std::pair<Piece, std::int32_t>> under_way;   // and who holds it
  for (std::int32_t s = 0; s < n; ++s) {
    for (std::int32_t d = 0; d < n; ++d) {
      if (s != d && size_of({s, d}) > Bytes{}) under_way.push_back({{s, d}, s});
    }
  }
  std::vector<std::vector<RoutedTransfer>> routed;
  for (const Phase& phase : phases) {
    std::map<Hop, std::size_t> transfer_of;
    std::vector<Bytes> left;                               // to carry, by transfer
    auto& transfers = routed.emplace_back();
    for (const Transfer& t : phase.transfers) {
      transfer_of.emplace(Hop{t.source, t.destination}, transfers.size());
      transfers.push_back({t.source, t.destination, {}});
      left.push_back(t.bytes);
    }
    std::vector<std::pair<Piece, std::int32_t>> later;
    for (auto& [piece, holder] : under_way) {
      const auto found = transfer_of.find({holder, next.of(holder, piece.destination)});
      if (found != transfer_of.end()) {
        transfers[found->second].pieces.push_back(piece);
        left[found->second] -= size_of(piece);
        holder = found->first.second;
      }
      if (holder != piece.destination) later.emplace_back(piece, holder);
    }
    under_way = std::move(later);
    for (const Bytes bytes : left) {
      if (bytes != Bytes{}) throw std::logic_error("a transfer of an all-to-all's lowering has other bytes than the pieces on its way");
    }
  }
  if (!under_way.empty()) throw std::logic_error("an all-to-all's lowering leaves a piece under way");
  return routed;
}

}  // namespace fabricast::hw
