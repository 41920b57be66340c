#include "sim/block_exchange.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace fabricast::sim {
namespace {

/// Some members, and how many of them have each number; members of one number do not send to each other.
class Tally {
 public:
  explicit Tally(std::span<const std::int32_t> number_of)
      : number_of_(number_of), counts_(static_cast<std::size_t>(*std::max_element(number_of.begin(), number_of.end())) + 1) {}

  /// In place of those taken before.
  void take(std::span<const std::int32_t> members) {
    for (const std::int32_t member : members_) counts_[number_of_[member]] = 0;
    members_ = members;
    for (const std::int32_t member : members_) ++counts_[number_of_[member]];
  }

  [[nodiscard]] std::span<const std::int32_t> members() const { return members_; }
  /// others[i]: how many of them member i of `ends` exchanges something with.
  void count_others(std::span<const std::int32_t> ends, std::vector<std::int32_t>& others) const {
    others.clear();
    for (const std::int32_t end : ends) others.push_back(static_cast<std::int32_t>(members_.size()) - counts_[number_of_[end]]);
  }
  [[nodiscard]] std::int32_t first_other(std::int32_t end) const {
    return *std::find_if(members_.begin(), members_.end(), [&](std::int32_t member) { return number_of_[member] != number_of_[end]; });
  }

 private:
  std::span<const std::int32_t> number_of_;   // by member
  std::vector<std::int32_t> counts_;          // by number
  std::span<const std::int32_t> members_;
};

}  // namespace

bool BlockExchange::applies(std::span<const GpuId> gpu_of, const hw::Topology& topology) {
  if (!topology.spine_towards(gpu_of.front())) return false;
  std::vector<GpuId> gpus(gpu_of.begin(), gpu_of.end());
  std::sort(gpus.begin(), gpus.end());
  if (std::adjacent_find(gpus.begin(), gpus.end()) != gpus.end()) return false;
  std::vector<std::int32_t> members_of(static_cast<std::size_t>(topology.nodes()));
  for (const GpuId gpu : gpu_of) ++members_of[topology.node_of(gpu).index()];
  const std::int32_t in_first = members_of[topology.node_of(gpu_of.front()).index()];
  const auto as_many = [&](std::int32_t members) { return members == 0 || members == in_first; };
  return std::all_of(members_of.begin(), members_of.end(), as_many) && static_cast<std::size_t>(in_first) < gpu_of.size();
}

BlockExchange::BlockExchange(std::span<const GpuId> gpu_of, const hw::Topology& topology, StepDelay delay, Pieces pieces)
    : topology_(&topology), delay_(delay), pieces_(std::move(pieces)) {
  places_.reserve(gpu_of.size());
  for (const GpuId gpu : gpu_of) {
    const hw::Route to_plane = topology.to_switch(gpu, hw::SwitchPlace::node), from_plane = topology.from_switch(gpu, hw::SwitchPlace::node);
    const hw::Route to_leaf = topology.to_switch(gpu, hw::SwitchPlace::network);
    const hw::Route from_leaf = topology.from_switch(gpu, hw::SwitchPlace::network);
    places_.push_back({gpu, topology.node_of(gpu).value, topology.leaf_of(gpu), *topology.spine_towards(gpu),
                       {to_plane.links().front(), from_plane.links().front()},
                       {to_leaf.links().front(), to_leaf.links().back()},
                       {from_leaf.links().front(), from_leaf.links().back()}});
  }
}

std::span<const LinkId> BlockExchange::links_out(std::int32_t member, bool crosses_nodes) const {
  const Place& place = places_[member];
  return crosses_nodes ? std::span(place.nic_out) : std::span(place.nvlink).first(1);
}

std::span<const LinkId> BlockExchange::links_in(std::int32_t member, bool crosses_nodes) const {
  const Place& place = places_[member];
  return crosses_nodes ? std::span(place.nic_in) : std::span(place.nvlink).last(1);
}

void BlockExchange::for_each_block(const KindOf& kind_of, const Visit& visit) const {
  visit_blocks(false, kind_of, visit);
  visit_blocks(true, kind_of, visit);
}

BlockExchange::Grouping BlockExchange::group(End end, bool crosses_nodes, const KindOf& kind_of) const {
  struct Entry {
    std::array<std::int32_t, 2> place;
    std::int32_t piece_kind;
    EndKind kind;
    std::int32_t member;
    auto operator<=>(const Entry&) const = default;
  };
  const auto& piece_kind_of = end == End::source ? pieces_.sends_as : pieces_.receives_as;
  std::vector<Entry> entries;
  entries.reserve(places_.size());
  for (std::int32_t member = 0; member < static_cast<std::int32_t>(places_.size()); ++member) {
    const Place& its = places_[member];
    const std::int32_t spine = end == End::source ? 0 : its.spine;
    const auto links = end == End::source ? links_out(member, crosses_nodes) : links_in(member, crosses_nodes);
    const std::array<std::int32_t, 2> place = crosses_nodes ? std::array{its.leaf, spine} : std::array{its.node, 0};
    entries.push_back({place, piece_kind_of[member], kind_of(member, links), member});
  }
  std::sort(entries.begin(), entries.end());
  Grouping grouping;
  for (const Entry& entry : entries) {
    const std::size_t i = grouping.members.size();
    const auto alike = [&](const Entry& other) {
      return entry.place == other.place && entry.piece_kind == other.piece_kind && entry.kind == other.kind;
    };
    if (i == 0 || !alike(entries[i - 1])) grouping.groups.push_back({entry.place[0], entry.piece_kind, i, i});
    grouping.members.push_back(entry.member);
    ++grouping.groups.back().last;
  }
  return grouping;
}

void BlockExchange::visit_blocks(bool crosses_nodes, const KindOf& kind_of, const Visit& visit) const {
  const Grouping out = group(End::source, crosses_nodes, kind_of), in = group(End::destination, crosses_nodes, kind_of);
  std::vector<std::int32_t> apart, sent, received;   // by member: who has the same number does not send to it
  for (std::size_t member = 0; member < places_.size(); ++member) {
    apart.push_back(crosses_nodes ? places_[member].node : static_cast<std::int32_t>(member));
  }
  Tally among_sources(apart), among_destinations(apart);
  for (const Alike& sources : out.groups) {
    among_sources.take(out.members_of(sources));
    for (const Alike& destinations : in.groups) {
      if (!crosses_nodes && destinations.place != sources.place) continue;
      const Piece& piece = pieces_.pieces[sources.kind * pieces_.receivers + destinations.kind];
      if (piece.payload == Bytes{}) continue;
      among_destinations.take(in.members_of(destinations));
      among_destinations.count_others(among_sources.members(), sent);
      among_sources.count_others(among_destinations.members(), received);
      const auto first = std::find_if(sent.begin(), sent.end(), [](std::int32_t transfers) { return transfers > 0; });
      if (first == sent.end()) continue;
      const std::int32_t source = among_sources.members()[static_cast<std::size_t>(first - sent.begin())];
      const std::int32_t destination = among_destinations.first_other(source);
      const hw::Route route = topology_->route(places_[source].gpu, places_[destination].gpu);
      visit({among_sources.members(), among_destinations.members(), sent, received, std::accumulate(sent.begin(), sent.end(), std::int64_t{}),
             crosses_nodes, source, destination, route, delay_.of(route.latency, crosses_nodes), piece.payload,
             crosses_nodes ? piece.wire_across : piece.wire_within});
    }
  }
}

}  // namespace fabricast::sim
