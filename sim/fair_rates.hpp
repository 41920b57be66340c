// Max-min fair rates of flows that come and go, solved again only where a change reaches. Knows no time and no bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"
#include "sim/disjoint_sets.hpp"
#include "sim/max_min.hpp"
#include "sim/rate.hpp"

namespace fabricast::sim {

using PathId = Id<struct PathMeaning>;
using FlowId = Id<struct FlowMeaning>;            // reused after remove()
using ComponentId = Id<struct ComponentMeaning>;  // reused after the component is gone

/// A link that its flows could fill (the narrowest links on their ways add up to more than it can carry) makes them depend on each other;
/// all others do not. Flows that depend on each other, directly or through others, are a *component*: a change reaches its component and
/// nobody else, so only that is solved again. Every component is a MaxMinProblem of its own, which stays while flows only leave, and is put
/// together anew where one joins or where the last link between two parts goes. Components are solved apart from each other, so rates
/// depend on the flows that are there alone, to the bit, and not on how they came about.
class FairRates {
 public:
  static constexpr FlowId no_flow{-1};

  /// By LinkId; all positive.
  explicit FairRates(std::span<const BytesPerSecond> capacity);

  /// The links that a flow crosses, each at most once; none: an unlimited rate. weights[i]: so many flows that are alike, taken as one,
  /// share links[i] (see Crossing); empty: one each.
  PathId add_path(std::span<const LinkId> links, std::span<const std::int32_t> weights = {});

  /// Changes take effect with the next settle(); a flow is not removed before it has been settled.
  FlowId add(PathId path);
  void remove(FlowId flow);

  /// The components that were solved again. Valid until the next call, like all spans below.
  std::span<const ComponentId> settle();
  /// A component that was just settled once more, with held[i], a place in members(), kept at rates[i], which is not above its fair rate; the
  /// others share what is left.
  void settle_around(ComponentId component, std::span<const std::int32_t> held, std::span<const Rate> rates);

  /// In no particular order; no_flow where one has left.
  [[nodiscard]] std::span<const FlowId> members(ComponentId component) const { return components_[component.index()].flows; }
  /// By place in members().
  [[nodiscard]] std::span<const Rate> rates(ComponentId component) const { return components_[component.index()].problem.rates(); }
  /// Places of those whose rates the last solution set; all others have kept theirs.
  [[nodiscard]] std::span<const std::int32_t> solved_last(ComponentId component) const {
    return components_[component.index()].problem.solved_last();
  }
  /// Has it been put together since the settlement before?
  [[nodiscard]] bool is_new(ComponentId component) const { return components_[component.index()].solutions == 1; }
  /// Grows with every solution; a component that is gone and one that reuses its id never have the same.
  [[nodiscard]] std::uint32_t version(ComponentId component) const { return components_[component.index()].version; }

  [[nodiscard]] std::size_t flows() const { return ids_ - free_.size(); }
  [[nodiscard]] std::size_t components() const { return components_.size() - free_components_.size(); }
  [[nodiscard]] std::span<const Crossing> crossings(FlowId flow) const { return crossings(flows_[flow.index()].path); }
  [[nodiscard]] std::span<const Crossing> crossings(PathId path) const {
    const Path& it = paths_[path.index()];
    return {crossings_.data() + it.first, crossings_.data() + it.last};
  }
  [[nodiscard]] Rate rate(FlowId flow) const;

 private:
  static constexpr std::int32_t none = -1;

  struct Path {
    std::size_t first, last;            // into crossings_
    std::int64_t narrowest;             // bytes/s, rounded up
  };
  struct Flow {
    PathId path;
    std::int32_t component = none;
    std::int32_t place = none;          // in its component; while one is being gathered: not none once it is in
    std::uint32_t serial = 0;           // tells flows apart that had the same id one after the other
  };
  /// A flow that crosses a link, or did: lists are cleared of those that are gone when they are walked through.
  struct Listed {
    FlowId flow;
    std::uint32_t serial;
  };
  struct Link {
    Rate capacity;
    std::int64_t whole_capacity;        // bytes/s, rounded down
    std::int64_t wanted = 0;            // the narrowest links of its flows, added up; bytes/s
    std::int64_t weight = 0;            // flows
    std::int32_t local = none;          // number in the component being gathered
    std::vector<Listed> flows;
  };
  struct Component {
    MaxMinProblem problem;
    std::vector<FlowId> flows;          // by place
    std::vector<LinkId> links;          // by number in the problem
    std::vector<std::uint8_t> joining;  // by number: did it join flows when that was last looked at?
    std::vector<std::uint8_t> holds;    // by place: is it one of the flows that hold the links together? Valid if they do:
    bool held_together = false;
    std::uint32_t version = 0;
    std::int32_t solutions = 0;         // since it was put together
    bool changed = false;               // flows have left since the last settlement
  };

  /// Do its flows depend on each other?
  [[nodiscard]] bool joins(const Link& link) const { return link.wanted > link.whole_capacity; }
  /// Can it limit a flow? One that a flow has to itself can, although it joins it to nobody.
  [[nodiscard]] bool limits(const Link& link) const { return joins(link) || (link.weight == 1 && link.wanted == link.whole_capacity); }
  [[nodiscard]] FlowId take_id();
  [[nodiscard]] ComponentId open_component();
  void dissolve(ComponentId id);
  void gather(FlowId first);
  void gather_across(LinkId link);
  void enter(FlowId flow);
  [[nodiscard]] bool stands_behind_another(LinkId link) const;
  void pose(Component& component);
  void solve(ComponentId id);
  void settle_after_removals(ComponentId id);
  [[nodiscard]] bool leaves_a_flow_alone(const Component& component, std::int32_t link) const;
  [[nodiscard]] bool in_one_piece(Component& component);
  [[nodiscard]] bool find_holding_flows(Component& component);

  std::vector<Link> links_;
  std::vector<Path> paths_;
  std::vector<Crossing> crossings_;            // by path
  std::vector<Flow> flows_;
  std::vector<FlowId> free_;                   // below ids_
  std::size_t ids_ = 0;
  std::uint32_t serials_ = 0;
  std::vector<Component> components_;
  std::vector<ComponentId> free_components_;

  std::vector<FlowId> loose_;                  // in no component yet
  std::vector<ComponentId> changed_, settled_;
  std::vector<FlowId> gathered_;
  std::vector<LinkId> gathered_links_, redundant_;
  std::vector<Crossing> local_crossings_;
  DisjointSets pieces_;
  MaxMinSolver solver_;
};

}  // namespace fabricast::sim
