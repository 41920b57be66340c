// How long after the start of its phase a transfer's first byte enters the network. Knows no collective.
#pragma once

#include <cstdint>
#include <optional>

#include "hardware_models/units.hpp"

namespace fabricast::sim {

struct StepDelay {
  Seconds within, across;                        // software latency of a step inside a node, between nodes
  std::int32_t steps = 1;
  std::optional<std::int32_t> crossings = {};    // how many of the steps cross nodes, where some do and some do not

  /// Of all steps. Where some cross nodes and some do not, every transfer waits for both kinds; the other kind's routes are not known here,
  /// and count by their software alone.
  [[nodiscard]] SimTime of(Seconds route_latency, bool crosses_nodes) const {
    if (!crossings) return to_sim_time((route_latency + (crosses_nodes ? across : within)) * static_cast<double>(steps));
    const double crossed = *crossings, kept = steps - crossed;
    return to_sim_time(across * crossed + within * kept + route_latency * (crosses_nodes ? crossed : kept));
  }
};

}  // namespace fabricast::sim
