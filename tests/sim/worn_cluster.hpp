// Clusters with everything that can differ or be broken, drawn at random.
#pragma once

#include <cstdint>
#include <optional>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/config_error.hpp"
#include "hardware_models/topology.hpp"
#include "tests/sim/random.hpp"

namespace fabricast::tests {

/// Gives a cluster random NICs, choices of spines, differing nodes and faults; some cannot be built.
inline void wear(hw::ClusterSpec& cluster, Random& random) {
  const std::int64_t gpus = cluster.node.gpus;
  cluster.node.nics = random.chance(30) ? 2 * gpus : gpus % 2 == 0 && random.chance(40) ? gpus / 2 : gpus;
  const hw::SpineChoice choices[] = {hw::SpineChoice::by_destination, hw::SpineChoice::ecmp, hw::SpineChoice::adaptive};
  cluster.fabric.spine_choice = choices[random.between(0, 2)];
  cluster.fabric.ecmp_seed = static_cast<std::uint64_t>(random.between(0, 1000));
  if (random.chance(40)) {
    hw::OtherNodes other;
    other.first = other.last = random.between(0, cluster.nodes - 1);
    other.nic_bandwidth = BytesPerSecond(25e9);
    if (random.chance(50)) other.nics = gpus;
    if (random.chance(50)) other.nvlink_bandwidth = BytesPerSecond(100e9);
    cluster.other_nodes.push_back(other);
  }
  const double shares[] = {0.0, 0.3, 0.7};
  const auto share = [&] { return shares[random.between(0, 2)]; };
  for (std::int64_t node = 0; node < cluster.nodes; ++node) {
    for (std::int64_t gpu = 0; gpu < gpus; ++gpu) {
      if (random.chance(10)) cluster.faults.slow_gpus.push_back({node, gpu, 1.5});
      if (random.chance(10)) cluster.faults.nvlinks.push_back({node, gpu, 0.4});
      if (cluster.nodes > 1 && gpu % 2 == 0 && random.chance(30)) cluster.faults.nics.push_back({node, gpu / 2, share()});
    }
  }
  for (std::int64_t spine = 0; spine < cluster.fabric.spines; ++spine) {
    if (random.chance(20)) cluster.faults.uplinks.push_back({random.between(0, 1), spine, share()});
  }
}

inline std::optional<hw::Topology> buildable(const hw::ClusterSpec& cluster) {
  try {
    return hw::Topology(cluster);
  } catch (const hw::ConfigError&) {
    return std::nullopt;
  }
}

}  // namespace fabricast::tests
