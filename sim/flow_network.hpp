// Fluid flows over shared links: when each of them ends. Knows links by number and capacity only; no collective, no schedule, no topology.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"
#include "sim/engine.hpp"
#include "sim/fair_rates.hpp"
#include "sim/link_rate.hpp"

namespace fabricast::sim {

using FlowTag = std::uint64_t;  // what the owner calls a flow; the network only hands it back

/// Share of its life that a flow may lose to batching (see FlowNetwork): far below the percent to which measured collectives repeat.
/// 0 makes every completion exact to the picosecond.
constexpr double default_completion_tolerance = 1e-3;

struct FlowNetworkOptions {
  double completion_tolerance = default_completion_tolerance;
  bool record_rates = false;
};

/// Rates are max-min fair (see FairRates); they change when flows start or end. Changes at one time are settled together, after the other
/// events of that time. A flow ends at an event, at now + ceil(remaining / rate): never early, never by comparing a remainder with a small
/// number.
///
/// Batching. Flows of nearly equal size end one by one, each end a new solution for the others. So the flows of a component (those joined
/// by full links when they were solved) keep their rates from the first end, at t, until T >= t, and all that end by then end at T together.
/// T is the last end before any flow of the component has spent more than `completion_tolerance` of its life (from its start to t) in such
/// waits. Capacity that falls free in between stays unused: no flow ends early and no link carries more than it can.
class FlowNetwork {
 public:
  static constexpr std::uint32_t event_kinds = 2;

  /// Schedules events of the kinds [first_kind, first_kind + event_kinds). capacity is by LinkId; all are positive.
  FlowNetwork(Engine& engine, std::uint32_t first_kind, std::vector<BytesPerSecond> capacity, FlowNetworkOptions options = {});
  FlowNetwork(const FlowNetwork&) = delete;
  FlowNetwork& operator=(const FlowNetwork&) = delete;

  /// The links that a flow crosses, each at most once. A path without links moves bytes in no time.
  PathId add_path(std::span<const LinkId> links) { return rates_.add_path(links); }

  /// A flow of so many bytes on the wire starts now.
  void start(PathId path, Bytes wire, FlowTag tag);

  [[nodiscard]] bool owns(const Event& event) const { return event.kind - first_kind_ < event_kinds; }
  /// Returns the flows that end now, valid until the next call.
  std::span<const FlowTag> handle(const Event& event);

  [[nodiscard]] std::size_t active_flows() const { return rates_.flows(); }
  /// In time order, if asked for.
  [[nodiscard]] const std::vector<LinkRate>& recorded_rates() const { return recorded_; }

 private:
  using Stamp = std::uint32_t;

  struct Flow {
    double remaining = 0.0;  // wire bytes at `solved`
    BytesPerSecond rate;     // from then on
    SimTime start, solved, finish;
    SimTime held;            // spent in waits of batches
    FlowTag tag = 0;
  };
  /// Flows that were solved together. Those that were solved again since, or have ended, belong to it no longer: their stamp differs.
  struct Component {
    struct Member {
      FlowId flow;
      SimTime finish;
    };
    std::vector<Member> members;
    SimTime youngest;        // last start of a member
    SimTime most_held;
    Stamp stamp = 0;         // 0: not in use
  };

  void request_settlement();
  void settle();
  [[nodiscard]] bool belongs(FlowId flow, const Component& component) const { return component_of_[flow.index()] == component.stamp; }
  [[nodiscard]] bool rate_anew(std::span<const FairRates::Solved> solved);
  [[nodiscard]] std::size_t open_component();
  void join(std::size_t component, FlowId id);
  void progress(Flow& flow);
  void complete(std::size_t component);
  void end(FlowId flow);
  void announce_completion(std::size_t component);
  [[nodiscard]] SimTime batch_end(const Component& component) const;
  void record_changed_links();

  Engine& engine_;
  std::uint32_t first_kind_;
  FlowNetworkOptions options_;
  FairRates rates_;
  std::vector<Flow> flows_;                    // by FlowId
  std::vector<Stamp> component_of_;            // by FlowId: that it was solved with last; 0 before and after
  std::vector<Component> components_;
  std::vector<std::size_t> free_components_;
  std::vector<std::size_t> opened_;            // by the number that the solution gives a component
  std::vector<std::size_t> unannounced_;       // components whose next completion has no event yet
  std::vector<FlowTag> ended_;
  SimTime longest_wait_;                       // of flows that ended since the last settlement
  Stamp stamps_ = 0;
  bool settlement_requested_ = false;
  std::vector<BytesPerSecond> recorded_loads_; // by LinkId, as last recorded
  std::vector<LinkRate> recorded_;
};

}  // namespace fabricast::sim
