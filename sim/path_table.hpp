// The network's path for each pair of GPUs, made when first asked for. Knows no collective.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "hardware_models/topology.hpp"
#include "sim/flow_network.hpp"

namespace fabricast::sim {

class PathTable {
 public:
  struct Entry {
    PathId path;
    Seconds latency;      // of the route
    bool crosses_nodes;
  };

  PathTable(const hw::Topology& topology, FlowNetwork& network) : topology_(topology), network_(network) {}

  [[nodiscard]] Entry between(GpuId source, GpuId destination) {
    const auto pair = static_cast<std::uint64_t>(source.value) << 32 | static_cast<std::uint32_t>(destination.value);
    const auto found = entries_.find(pair);
    return found != entries_.end() ? found->second : entries_.emplace(pair, make(source, destination)).first->second;
  }

 private:
  [[nodiscard]] Entry make(GpuId source, GpuId destination) {
    const hw::Route route = topology_.route(source, destination);
    return {network_.add_path(route.links()), route.latency, topology_.node_of(source) != topology_.node_of(destination)};
  }

  const hw::Topology& topology_;
  FlowNetwork& network_;
  std::unordered_map<std::uint64_t, Entry> entries_;  // looked up only: its order reaches nothing
};

}  // namespace fabricast::sim
