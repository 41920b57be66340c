// Max-min fair rates of flows that come and go, solved again only where a change reaches. Knows no time and no bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"
#include "sim/disjoint_sets.hpp"
#include "sim/max_min.hpp"

namespace fabricast::sim {

using PathId = Id<struct PathMeaning>;
using FlowId = Id<struct FlowMeaning>;  // reused after remove()

/// Rates are max-min fair exactly if every flow has a *bottleneck*: a full link that it crosses and on which no other flow is faster. Each
/// flow keeps one such link as its certificate. A change loosens the flows whose certificate it may have broken (those with their
/// bottleneck on a link that a flow left or joins); they are solved again on what the others leave, and then every certificate that the new
/// rates could have broken is looked at. Where one is, its flow is loosened too and the solution repeated; where none is, all flows have a
/// certificate, so the whole is max-min fair although most of it was never touched. Links that are not full carry no influence.
class FairRates {
 public:
  /// By LinkId; all positive.
  explicit FairRates(std::vector<BytesPerSecond> capacity);

  /// The links that a flow crosses, each at most once; none: an infinite rate.
  PathId add_path(std::span<const LinkId> links);

  /// Changes take effect with the next settle(); a flow is not removed before it has been settled.
  FlowId add(PathId path);
  void remove(FlowId flow);

  /// A flow that was solved again. Flows of one component are joined by full links; components are numbered from 0.
  struct Solved {
    FlowId flow;
    std::int32_t component;
  };
  /// Valid until the next settle(), as is changed_links().
  std::span<const Solved> settle();
  /// Links whose load may have changed since the settle() before, each once.
  [[nodiscard]] std::span<const LinkId> changed_links() const { return settled_links_; }

  [[nodiscard]] BytesPerSecond rate(FlowId flow) const { return BytesPerSecond(flows_[flow.index()].rate); }
  [[nodiscard]] BytesPerSecond load(LinkId link) const { return BytesPerSecond(links_[link.index()].load); }
  [[nodiscard]] std::size_t flows() const { return ids_ - free_.size(); }

 private:
  static constexpr std::int32_t none = -1;

  struct Flow {
    double rate = 0.0;
    PathId path;
    std::int32_t bottleneck = none;   // a link
    std::uint32_t serial = 0;         // tells flows apart that had the same id one after the other
    bool loose = false;               // among those being solved
  };
  /// A flow that crosses a link, or did: a list is cleared of flows that are gone when they are half of it.
  struct Crossing {
    FlowId flow;
    std::uint32_t serial;
  };
  struct Link {
    double capacity;
    double load = 0.0;                // of flows that are not loose
    std::int32_t flows = 0;           // that cross it
    std::int32_t fixed = 0;           // of those, not loose
    std::int32_t certified = 0;       // of those, with their bottleneck here
    std::int32_t local = none;        // number within the problem being solved
    std::uint64_t changed = 0;        // last settlement before which it did
    std::vector<Crossing> crossings;
  };
  /// What the loose flows do to a link.
  struct Use {
    double load = 0.0, fastest = 0.0;
    double level = -1.0;              // rate of those that have their bottleneck there; negative: none has
  };

  [[nodiscard]] std::span<const LinkId> links_of(const Flow& flow) const;
  [[nodiscard]] bool current(const Crossing& crossing) const { return flows_[crossing.flow.index()].serial == crossing.serial; }
  [[nodiscard]] FlowId take_id();
  void list_crossing(LinkId link, FlowId flow);
  void mark_changed(LinkId link);
  void loosen(FlowId flow);
  void unload(LinkId link, double rate);
  template <class Predicate>
  void loosen_on(std::int32_t link, Predicate predicate);
  void loosen_certified(std::int32_t link);
  void loosen_where_changed();
  void pose_problem();
  [[nodiscard]] bool full(std::int32_t local) const;
  [[nodiscard]] Use use_of(std::int32_t local) const;
  void loosen_wronged(std::int32_t local);
  void repeat_until_none_is_wronged();
  void fix();
  void number_components();
  void join_full_links();

  std::vector<Link> links_;
  std::vector<std::size_t> path_first_{0};
  std::vector<LinkId> path_links_;
  std::vector<Flow> flows_;
  std::vector<FlowId> free_;           // below ids_
  std::size_t ids_ = 0;
  std::uint32_t serials_ = 0;

  std::vector<FlowId> loose_;
  std::vector<LinkId> changed_links_, settled_links_;   // since, and before, the last settlement
  std::uint64_t settlement_ = 1;
  std::vector<Solved> solved_;

  MaxMinSolver solver_;
  std::vector<std::int32_t> problem_first_, problem_links_;
  std::vector<BytesPerSecond> problem_capacity_, rates_;
  std::vector<std::int32_t> bottlenecks_;
  std::vector<std::int32_t> local_links_;   // links of the problem
  DisjointSets full_sets_;
  std::vector<std::int32_t> component_of_;  // by local link that represents a set
};

}  // namespace fabricast::sim
