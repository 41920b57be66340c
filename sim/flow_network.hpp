// Fluid flows over shared links: when each of them ends. Knows links by number and capacity only; no collective, no schedule, no topology.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"
#include "sim/engine.hpp"
#include "sim/fair_rates.hpp"
#include "sim/link_loads.hpp"
#include "sim/link_rate.hpp"

namespace fabricast::sim {

using FlowTag = std::uint64_t;                    // what the owner calls a flow; the network only hands it back
using FlowOwner = std::uint32_t;                  // flows that somebody waits for together, a collective; small numbers

/// How long flows may be kept from ending so that more of them end together (see FlowNetwork), as shares of a flow's life.
struct Patience {
  double of_flow = 0.0;                           // any flow
  double before_end = 0.0;                        // any flow: share of the time until its owner's last one ends, so that the last never waits
};
/// Every completion where max-min fairness puts it, to the picosecond.
constexpr Patience exact_completions{};
/// 4 in 1000 leaves room for what the delays of some flows do to others, up to the bounds that tests/sim/flow_network_accuracy_test.cpp
/// holds: 1 % of a flow's life, 0.1 % of an owner's.
constexpr Patience patient_completions{4e-3, 0.1};

struct FlowNetworkOptions {
  Patience patience = patient_completions;
  bool record_rates = false;
};

/// Rates are max-min fair (see FairRates); they change when flows start or end. Changes at one time are settled together, after the other
/// events of that time. A flow ends at an event, at now + ceil(remaining / rate): never early, never by comparing a remainder with a small
/// number.
///
/// Ending together. Where sizes differ a little, flows end one by one, and each end is a new solution for all others. With patience, when a
/// component (see FairRates) is settled at t, flows that would end in [f, T] all end at T: they are slowed down to (remaining bytes) / (T - t),
/// and the others share at once what that leaves. So no link idles and none carries more than it can: only the order within the window
/// changes. A flow that would end at f, and has lived for l = f - start, agrees to a T of at most
///   f + min(of_flow · l, before_end · (last end of its owner's flows - f)) less what it has been kept before,
/// T is the last end that everybody who ends by then agrees to. A delay is thus at most `of_flow` of a flow's life; what the others gain
/// before their time, at most as much again, they lose later. The last flow of an owner, for which somebody waits, ends when it fairly does:
/// were it kept, those who wait for different owners would fall into step, and contend ever after where they would have drifted apart.
class FlowNetwork {
 public:
  static constexpr std::uint32_t event_kinds = 2;

  /// Schedules events of the kinds [first_kind, first_kind + event_kinds). capacity is by LinkId; all are positive.
  FlowNetwork(Engine& engine, std::uint32_t first_kind, std::span<const BytesPerSecond> capacity, FlowNetworkOptions options = {});
  FlowNetwork(const FlowNetwork&) = delete;
  FlowNetwork& operator=(const FlowNetwork&) = delete;

  /// The links that a flow crosses, each at most once, and how many flows that are alike and taken as one share each of them (see FairRates).
  /// A path without links moves bytes in no time.
  PathId add_path(std::span<const LinkId> links, std::span<const std::int32_t> weights = {}) { return rates_.add_path(links, weights); }

  [[nodiscard]] std::span<const Crossing> crossings(PathId path) const { return rates_.crossings(path); }

  /// A flow (each of those that are taken as one) of so many bytes on the wire starts now.
  void start(PathId path, Bytes wire, FlowTag tag, FlowOwner owner = 0);

  [[nodiscard]] bool owns(const Event& event) const { return event.kind - first_kind_ < event_kinds; }
  /// Returns the flows that end now, valid until the next call.
  std::span<const FlowTag> handle(const Event& event);

  [[nodiscard]] std::size_t active_flows() const { return rates_.flows(); }
  /// In time order, if asked for.
  [[nodiscard]] const std::vector<LinkRate>& recorded_rates() const { return recorded_; }

 private:
  struct Flow {
    double remaining = 0.0;  // wire bytes at `solved`
    Rate rate;               // from then on
    SimTime solved, finish;
  };
  struct FlowFacts {
    SimTime start;
    SimTime kept;            // from ending, so far
    FlowTag tag = 0;
    FlowOwner owner = 0;
  };

  /// Of one component. By place in it, side by side, since every settlement walks over all of them; `never` ends who has left.
  struct Completions {
    std::vector<SimTime> finish, start, kept;    // as in Flow and FlowFacts
    std::vector<FlowOwner> owner;
    std::vector<FlowOwner> owners;               // each once
    std::vector<std::int32_t> ending;            // places of those that end at the next one
  };

  void request_settlement();
  void settle();
  void plan_completion(ComponentId component);
  [[nodiscard]] Completions& completions_of(ComponentId component);
  void apply_rates(ComponentId component, std::vector<SimTime>& finish);
  void set_rate(FlowId flow, Rate rate);
  void progress(Flow& flow);
  void copy_facts(ComponentId component, Completions& completions) const;
  [[nodiscard]] SimTime common_end(const Completions& completions);
  [[nodiscard]] SimTime latest_agreed(const Completions& completions, std::size_t place) const;
  void find_last_ends(const Completions& completions);
  void end_together(ComponentId component, SimTime at, Completions& completions);
  void slow_down(FlowId flow, SimTime end, Completions& completions, std::size_t place);
  void complete(ComponentId component);

  Engine& engine_;
  std::uint32_t first_kind_;
  FlowNetworkOptions options_;
  FairRates rates_;
  std::vector<Flow> flows_;                      // by FlowId
  std::vector<FlowFacts> facts_;                 // by FlowId
  std::vector<Completions> completions_;         // by ComponentId
  std::vector<SimTime> last_end_;                // by FlowOwner, of the members of the component in question
  std::vector<std::int32_t> held_;               // scratch of end_together
  std::vector<Rate> held_rates_;
  std::vector<FlowTag> ended_;
  bool settlement_requested_ = false;
  LinkLoads loads_;
  std::vector<LinkRate> recorded_;
};

}  // namespace fabricast::sim
