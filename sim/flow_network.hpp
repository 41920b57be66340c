// Fluid flows over shared links: who gets which rate, and when each flow ends. Knows links by number and capacity only; no collective, no
// schedule, no topology.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"
#include "sim/engine.hpp"
#include "sim/link_rate.hpp"
#include "sim/link_sets.hpp"
#include "sim/max_min.hpp"

namespace fabricast::sim {

using PathId = Id<struct PathMeaning>;
using FlowTag = std::uint64_t;  // what the owner calls a flow; the network only hands it back

/// Share of its life that a flow may lose to batching (see FlowNetwork): far below the percent to which measured collectives repeat.
/// 0 makes every completion exact to the picosecond.
constexpr double default_completion_tolerance = 1e-3;

struct FlowNetworkOptions {
  double completion_tolerance = default_completion_tolerance;
  bool record_rates = false;
};

/// Rates are max-min fair at all times. They change when flows start or end, and then only in the connected component of flows and links
/// that is touched; changes at one time are settled together, after the other events of that time. A flow ends at an event of its own
/// component, at now + ceil(remaining / rate): never early, never by comparing a remainder with a small number.
///
/// Batching. Flows of nearly equal size end one by one, each end a new solution for all the others. So a component keeps its rates from the
/// first end, at t, until T >= t, and all flows that end by then end at T together. T is the last end for which no flow of the component
/// has spent more than `completion_tolerance` of its life (from its start to t) in such waits. Capacity that is free in between stays
/// unused: no flow ends early and no link carries more than it can.
class FlowNetwork {
 public:
  static constexpr std::uint32_t event_kinds = 2;

  /// Schedules events of the kinds [first_kind, first_kind + event_kinds). capacity is by LinkId; all are positive.
  FlowNetwork(Engine& engine, std::uint32_t first_kind, std::vector<BytesPerSecond> capacity, FlowNetworkOptions options = {});
  FlowNetwork(const FlowNetwork&) = delete;
  FlowNetwork& operator=(const FlowNetwork&) = delete;

  /// The links that a flow crosses, each at most once. A path without links moves bytes in no time.
  PathId add_path(std::span<const LinkId> links);

  /// A flow of so many bytes on the wire starts now.
  void start(PathId path, Bytes wire, FlowTag tag);

  [[nodiscard]] bool owns(const Event& event) const { return event.kind - first_kind_ < event_kinds; }
  /// Returns the flows that end now, valid until the next call.
  std::span<const FlowTag> handle(const Event& event);

  [[nodiscard]] std::size_t active_flows() const { return flows_.size() - free_flows_.size(); }
  /// In time order, if asked for.
  [[nodiscard]] const std::vector<LinkRate>& recorded_rates() const { return recorded_; }

 private:
  using FlowIndex = std::int32_t;
  struct Flow {
    double remaining;       // wire bytes at the time of the component's solution
    BytesPerSecond rate;
    SimTime start, finish;
    SimTime held;           // spent in waits of batches
    FlowTag tag;
    PathId path;
  };
  /// Flows connected by links, and their solution. Without flows: not in use.
  struct Component {
    std::vector<FlowIndex> flows;
    SimTime solved, first_finish;
    std::uint32_t generation = 0;  // completions announced for an earlier one are stale
  };
  struct LinkUse {
    std::int32_t component = none;
    std::int32_t local = none;     // number within the problem being solved
    BytesPerSecond rate{};         // kept only where rates are recorded
  };
  static constexpr std::int32_t none = -1;

  [[nodiscard]] std::span<const LinkId> links_of(PathId path) const;
  void request_settlement();
  void settle();
  void dissolve(std::int32_t component);
  void end(FlowIndex flow);
  void progress(Flow& flow, const Component& component) const;
  void dissolve_components_met_by_new_flows();
  void partition_restless_flows();
  std::int32_t open_component();
  void join_links_of(const Flow& flow);
  void share_out(std::int32_t component);
  void pose_problem(std::int32_t component);
  void announce_completion(std::int32_t component);
  [[nodiscard]] SimTime batch_end(const Component& component) const;
  void record_rates_of(const Component& component);
  void record_vacated_links();
  void record(LinkId link, BytesPerSecond rate);

  Engine& engine_;
  std::uint32_t first_kind_;
  std::vector<BytesPerSecond> capacity_;
  FlowNetworkOptions options_;

  std::vector<std::size_t> path_first_{0};
  std::vector<LinkId> path_links_;
  std::vector<Flow> flows_;
  std::vector<FlowIndex> free_flows_;
  std::vector<Component> components_;
  std::vector<std::int32_t> free_components_;
  std::vector<LinkUse> uses_;                // by LinkId

  std::vector<FlowIndex> new_flows_;         // started, not yet settled
  std::vector<FlowIndex> restless_;          // waiting for new rates
  std::vector<std::int32_t> opened_;         // components of this settlement
  std::vector<FlowTag> ended_;
  bool settlement_requested_ = false;

  // Scratch of one settlement.
  LinkSets sets_;
  MaxMinSolver solver_;
  std::vector<std::int32_t> problem_first_, problem_links_;
  std::vector<BytesPerSecond> problem_capacity_, rates_;
  std::vector<LinkId> problem_link_ids_;
  std::vector<BytesPerSecond> loads_;

  std::vector<LinkId> vacated_;
  std::vector<LinkRate> recorded_;
};

}  // namespace fabricast::sim
