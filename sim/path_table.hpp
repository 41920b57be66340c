// The network's path for each pair of GPUs, and between a GPU and a switch, made when first asked for. Knows no collective.
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
    return look_up(source.value, destination.value, [&] {
      return make(topology_.route(source, destination), topology_.node_of(source) != topology_.node_of(destination));
    });
  }
  [[nodiscard]] Entry to_switch(GpuId gpu, hw::SwitchPlace place) {
    return look_up(gpu.value, code(place), [&] { return make(topology_.to_switch(gpu, place), place == hw::SwitchPlace::network); });
  }
  [[nodiscard]] Entry from_switch(GpuId gpu, hw::SwitchPlace place) {
    return look_up(code(place), gpu.value, [&] { return make(topology_.from_switch(gpu, place), place == hw::SwitchPlace::network); });
  }

 private:
  /// No GPU's number.
  static std::int32_t code(hw::SwitchPlace place) { return place == hw::SwitchPlace::node ? -1 : -2; }

  template <class Make>
  [[nodiscard]] Entry look_up(std::int32_t from, std::int32_t to, Make make_entry) {
    const auto pair = std::uint64_t{static_cast<std::uint32_t>(from)} << 32 | static_cast<std::uint32_t>(to);
    const auto found = entries_.find(pair);
    return found != entries_.end() ? found->second : entries_.emplace(pair, make_entry()).first->second;
  }

  [[nodiscard]] Entry make(const hw::Route& route, bool crosses_nodes) {
    return {network_.add_path(route.links()), route.latency, crosses_nodes};
  }

  const hw::Topology& topology_;
  FlowNetwork& network_;
  std::unordered_map<std::uint64_t, Entry> entries_;  // looked up only: its order reaches nothing
};

}  // namespace fabricast::sim
