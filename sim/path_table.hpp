// The network's path for each pair of GPUs, and between a GPU and a switch, made when first asked for. Knows no collective.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "hardware_models/topology.hpp"
#include "sim/flow_network.hpp"

namespace fabricast::sim {

class PathTable {
 public:
  PathTable(const hw::Topology& topology, FlowNetwork& network) : topology_(topology), network_(network) {}

  [[nodiscard]] const hw::Topology& topology() const { return topology_; }

  /// `route` is that between the two; a switch is known by its own (negative) number.
  template <class MakeRoute>
  [[nodiscard]] PathId between(GpuId source, GpuId destination, MakeRoute route) {
    const auto pair = std::uint64_t{static_cast<std::uint32_t>(source.value)} << 32 | static_cast<std::uint32_t>(destination.value);
    const auto found = paths_.find(pair);
    return found != paths_.end() ? found->second : paths_.emplace(pair, network_.add_path(route().links())).first->second;
  }

 private:
  const hw::Topology& topology_;
  FlowNetwork& network_;
  std::unordered_map<std::uint64_t, PathId> paths_;  // looked up only: its order reaches nothing
};

}  // namespace fabricast::sim
