#include "sim/folded_plan.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <tuple>

namespace fabricast::sim {
namespace {

constexpr std::int32_t no_class = -1;

/// Everything by which transfers of one launch differ.
struct TransferKind {
  std::int32_t source, destination;              // places, or switches
  Bytes payload, wire;
  std::array<std::int32_t, hw::Route::max_links> link_classes;   // in the order of the route, then no_class
  friend bool operator<(const TransferKind& a, const TransferKind& b) {
    return std::tie(a.source, a.destination, a.payload, a.wire, a.link_classes) <
           std::tie(b.source, b.destination, b.payload, b.wire, b.link_classes);
  }
};

class FoldPlan {
 public:
  FoldPlan(const CollectivePlan& plan, std::span<const Rank> ranks, std::span<const GpuId> gpu_of, bool is_message, const Folding& folding,
           const hw::Topology& topology, FlowNetwork& network)
      : plan_(plan), gpu_of_(gpu_of), folding_(folding), topology_(topology), network_(network) {
    place_members(ranks, is_message);
    const std::int32_t first = folding.class_of_rank[ranks.front().index()];
    const auto alike = std::count(class_of_.begin(), class_of_.end(), first);
    groups_ = folding.sizes[static_cast<std::size_t>(first)] / (is_message ? 1 : alike);
  }

  [[nodiscard]] CollectivePlan fold() {
    CollectivePlan folded;
    folded.base_latency = plan_.base_latency;
    folded.floor = plan_.floor;
    folded.transfers_of.assign(places_, 0);
    folded.loads.resize(places_);
    for (std::size_t member = 0; member < place_of_.size(); ++member) folded.loads[static_cast<std::size_t>(place_of_[member])] = plan_.loads[member];
    for (const PlannedPhase& phase : plan_.phases) {
      std::vector<std::pair<SimTime, Kinds>> launches;
      for (std::int32_t launch = phase.first; launch < phase.last; ++launch) {
        launches.emplace_back(plan_.launches[launch].delay, kinds_in(plan_.launches[launch]));
      }
      append_phase(launches, folded);
    }
    if (plan_.exchange) append_phase(kinds_in(*plan_.exchange), folded);
    return folded;
  }

 private:
  using Kinds = std::map<TransferKind, std::int64_t>;   // how many of each there are

  void place_members(std::span<const Rank> ranks, bool is_message) {
    for (const Rank rank : ranks) class_of_.push_back(folding_.class_of_rank[rank.index()]);
    std::vector<std::int32_t> classes = class_of_;
    std::sort(classes.begin(), classes.end());
    classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
    for (std::size_t member = 0; member < class_of_.size(); ++member) {
      const auto place = std::lower_bound(classes.begin(), classes.end(), class_of_[member]) - classes.begin();
      place_of_.push_back(is_message ? static_cast<std::int32_t>(member) : static_cast<std::int32_t>(place));
    }
    places_ = is_message ? class_of_.size() : classes.size();
  }

  [[nodiscard]] std::int32_t place_of(std::int32_t end) const { return hw::is_switch(end) ? end : place_of_[end]; }

  [[nodiscard]] TransferKind kind_of(std::int32_t source, std::int32_t destination, Bytes payload, Bytes wire,
                                     const hw::Route& route) const {
    TransferKind kind{place_of(source), place_of(destination), payload, wire, {}};
    kind.link_classes.fill(no_class);
    std::transform(route.links().begin(), route.links().end(), kind.link_classes.begin(),
                   [&](LinkId link) { return folding_.class_of_link[link.index()]; });
    return kind;
  }

  [[nodiscard]] Kinds kinds_in(const Launch& launch) const {
    Kinds kinds;
    for (std::int32_t t = launch.first; t < launch.last; ++t) {
      const PlannedTransfer& transfer = plan_.transfers[t];
      ++kinds[kind_of(transfer.source, transfer.destination, transfer.payload, transfer.wire, route_of(transfer, gpu_of_, topology_))];
    }
    return kinds;
  }

  /// By delay.
  [[nodiscard]] std::map<SimTime, Kinds> kinds_in(const BlockExchange& exchange) const {
    std::map<SimTime, Kinds> launches;
    const auto classes_of = [&](std::int32_t member, std::span<const LinkId> own_links) {
      EndKind classes{static_cast<std::uint64_t>(class_of_[member])};
      std::transform(own_links.begin(), own_links.end(), classes.begin() + 1,
                     [&](LinkId link) { return static_cast<std::uint64_t>(folding_.class_of_link[link.index()]); });
      return classes;
    };
    exchange.for_each_block(classes_of, [&](const TransferBlock& block) {
      launches[block.delay][kind_of(block.source, block.destination, block.payload, block.wire, block.route)] += block.transfers;
    });
    return launches;
  }

  template <class Launches>
  void append_phase(const Launches& launches, CollectivePlan& folded) {
    const auto first_launch = static_cast<std::int32_t>(folded.launches.size());
    const auto first_transfer = static_cast<std::int32_t>(folded.transfers.size());
    for (const auto& [delay, kinds] : launches) append(delay, kinds, folded);
    folded.phases.push_back({first_launch, static_cast<std::int32_t>(folded.launches.size()),
                             static_cast<std::int32_t>(folded.transfers.size()) - first_transfer});
  }

  void append(SimTime delay, const Kinds& kinds, CollectivePlan& folded) {
    const auto first = static_cast<std::int32_t>(folded.transfers.size());
    for (const auto& [kind, count] : kinds) {
      folded.transfers.push_back({kind.source, kind.destination, kind.payload, kind.wire, path_of(kind, count)});
      for (const std::int32_t end : {kind.source, kind.destination}) {
        if (!hw::is_switch(end)) ++folded.transfers_of[end];
      }
    }
    folded.launches.push_back({delay, first, static_cast<std::int32_t>(folded.transfers.size())});
  }

  // All groups' transfers of the kind, times the links of the class that each crosses, are spread evenly over the class.
  [[nodiscard]] PathId path_of(const TransferKind& kind, std::int64_t count) {
    std::map<std::int32_t, std::int64_t> links;  // of each class, on the way
    for (const std::int32_t link_class : kind.link_classes) {
      if (link_class != no_class) ++links[link_class];
    }
    std::vector<LinkId> representatives;
    std::vector<std::int32_t> weights;
    for (const auto& [link_class, crossed] : links) {
      const Folding::LinkClass& its = folding_.link_classes[static_cast<std::size_t>(link_class)];
      const std::int64_t crossings = count * groups_ * crossed;
      if (crossings % its.size != 0) throw std::logic_error("folding: alike transfers do not spread evenly over alike links");
      representatives.push_back(its.representative);
      weights.push_back(static_cast<std::int32_t>(crossings / its.size));
    }
    return network_.add_path(representatives, weights);
  }

  const CollectivePlan& plan_;
  std::span<const GpuId> gpu_of_;
  const Folding& folding_;
  const hw::Topology& topology_;
  FlowNetwork& network_;
  std::vector<std::int32_t> class_of_, place_of_;   // by member
  std::size_t places_ = 0;
  std::int64_t groups_ = 0;                         // groups that are alike
};

}  // namespace

CollectivePlan fold_plan(const CollectivePlan& plan, std::span<const Rank> ranks, std::span<const GpuId> gpu_of, bool is_message,
                         const Folding& folding, const hw::Topology& topology, FlowNetwork& network) {
  return FoldPlan(plan, ranks, gpu_of, is_message, folding, topology, network).fold();
}

}  // namespace fabricast::sim
