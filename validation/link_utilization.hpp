// How busy each node's links were over time, from the rates of single links. Knows no schedule.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "hardware_models/topology.hpp"
#include "sim/simulate.hpp"

namespace fabricast::validation {

enum class Direction : std::uint8_t { out, in };   // of the node's GPUs: into the switch or the network, or from it

struct UtilizationSample {
  SimTime from;           // until the next sample
  double utilization;     // mean over that time: rate over the bandwidth of all links of the series
};

/// The links of one kind and direction of one node, taken together.
struct UtilizationSeries {
  NodeId node;
  hw::LinkKind kind;
  Direction direction;
  BytesPerSecond bandwidth;
  std::vector<UtilizationSample> samples;
};

/// NVLink and NIC links of the wanted nodes (else of all), by node, kind and direction. Changes closer together than `resolution` are
/// averaged, so that Σ utilization · duration · bandwidth is what the links carried. `end` is the last sample's end. Links between switches
/// belong to no node. `rated_as` as in sim::SimulationResult: empty where every link has rates of its own.
[[nodiscard]] std::vector<UtilizationSeries> link_utilization(const hw::Topology& topology, std::span<const sim::LinkRate> rates,
                                                              SimTime resolution, SimTime end, std::span<const LinkId> rated_as = {},
                                                              const std::function<bool(NodeId)>& wanted = {});

}  // namespace fabricast::validation
