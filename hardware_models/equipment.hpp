// What each GPU and each NIC of a cluster is and can do, nodes that differ and faults counted in. Knows no switch and no route.
#pragma once

#include <cstdint>
#include <vector>

#include "hardware_models/cluster_spec.hpp"

namespace fabricast::hw {

/// The NICs that serve the same GPUs, as one: a GPU with several spreads its traffic over them evenly, as NCCL's channels do, so a port is
/// as fast as the slowest of its working NICs times their number.
struct NicPort {
  std::int64_t node, index;        // index: place among the ports of its node, hence its rail
  std::int64_t first_nic, nics;    // of the node
  BytesPerSecond nominal;          // without faults
  BytesPerSecond bandwidth;        // 0: all its NICs have failed
};

struct Equipment {
  std::vector<BytesPerSecond> nvlink, pcie;   // by GpuId
  std::vector<std::int32_t> port_of;          // by GpuId: its own port; where that has failed, the nearest working one of the node
  std::vector<NicPort> ports;                 // by node, then index
  std::int64_t most_ports = 0;                // of a node
};

/// NICs of a node, and the ports that they make.
[[nodiscard]] std::int64_t nics_of(const ClusterSpec& cluster, std::int64_t node);
[[nodiscard]] std::int64_t ports_of(const ClusterSpec& cluster, std::int64_t node);

/// The cluster must be buildable (topology_parts.hpp). Throws ConfigError, pointer set, where a failure cuts a GPU off.
[[nodiscard]] Equipment equip(const ClusterSpec& cluster);

/// GPUs that run kernels alike: one specification each, slowdown included.
struct GpuClasses {
  std::vector<GpuSpec> specs;                 // specs[0] is of GPU 0
  std::vector<std::int32_t> of;               // by GpuId
};
[[nodiscard]] GpuClasses gpu_classes(const ClusterSpec& cluster);

/// Of the GPU that has least.
[[nodiscard]] Bytes least_memory(const ClusterSpec& cluster);

}  // namespace fabricast::hw
