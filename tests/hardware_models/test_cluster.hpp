// A 16 x 8 cluster for tests, written out so that no test depends on a config file: round numbers, no efficiencies below 1.
#pragma once

#include "hardware_models/cluster_spec.hpp"

namespace fabricast::tests {

/// The guide's cluster: 450 GB/s NVLink and 50 GB/s InfiniBand per GPU and direction, rail-optimised, one pod.
inline hw::ClusterSpec h100_16x8() {
  hw::ClusterSpec cluster;
  cluster.name = "h100_16x8";
  cluster.nodes = 16;
  cluster.node.gpus = 8;
  cluster.node.nvlink_bandwidth = BytesPerSecond(450e9);
  cluster.node.nvlink_latency = Seconds(1e-6);
  cluster.node.pcie_bandwidth = BytesPerSecond(64e9);
  cluster.fabric.kind = hw::FabricKind::rail_optimized;
  cluster.fabric.nic_bandwidth = BytesPerSecond(50e9);
  cluster.fabric.nic_latency = Seconds(2e-6);
  cluster.fabric.switch_latency = Seconds(0.5e-6);
  cluster.fabric.nodes_per_leaf = 16;
  cluster.fabric.spines = 4;
  return cluster;
}

}  // namespace fabricast::tests
