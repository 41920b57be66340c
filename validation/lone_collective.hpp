// How long a measured collective takes by a model of the library, alone on an idle cluster, in closed form: what a fit can ask a million
// times. Holds the simulator's answer on idle links (its lowering, its prices); knows no events and no other traffic.
#pragma once

#include <map>
#include <vector>

#include "hardware_models/collective_model.hpp"
#include "hardware_models/topology.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

class LoneCollective {
 public:
  /// On the first row.gpus_per_node GPUs of each of the first row.nodes nodes. Throws hw::ConfigError where the topology has fewer, or the
  /// row's algorithm does not run its kind there.
  LoneCollective(const CollectiveMeasurement& row, const hw::Topology& topology, bool switches_reduce, bool network_reduces);

  /// From the first member's start to the last one's end.
  [[nodiscard]] Seconds time(const hw::CollectiveModel& model) const;

 private:
  /// What the transfers of a phase that stay in their node (or leave it) ask of it.
  struct Share {
    Seconds route_latency{}, busiest_link{};   // of the links alone, were they filled
    Bytes sent{};                              // by the member that sends most in the phase
    [[nodiscard]] bool empty() const { return sent == Bytes{}; }
  };
  struct Phase {
    Share within, across;
    double steps = 1;
    std::optional<double> crossings;           // of the steps, where some cross nodes and some do not
    bool pipelined = false;
  };
  struct Way {
    std::vector<Phase> phases;
    std::vector<std::vector<Seconds>> links;   // what each asks for, [2 · phase + 1 where it leaves the node]; links that are alike once
    Bytes sent_in_node{};                      // by the busiest member, in all phases
  };
  struct Span {
    Seconds latency, busy;
    double per_filled = 0;                     // time over that of a filled link: 1 / efficiency
  };
  struct PhaseTime {
    Span within, across;
  };

  [[nodiscard]] Way way_of(const std::vector<hw::Phase>& phases, const hw::Topology& topology) const;
  [[nodiscard]] PhaseTime time_of(const Phase& phase, const hw::CollectiveModel& model, const hw::CollectiveChoice& choice) const;
  [[nodiscard]] Seconds pipelined(const Way& way, std::size_t first, const std::vector<PhaseTime>& phases, Bytes chunk) const;

  hw::CollectiveKind kind_;
  hw::CollectiveAlgorithm wanted_;
  Bytes size_;
  std::vector<GpuId> gpus_;
  std::vector<NodeId> nodes_;
  hw::GroupSize group_;
  std::map<hw::CollectiveAlgorithm, Way> ways_;   // by what the model may choose
};

}  // namespace fabricast::validation
