// Ideal clusters and replays of small schedules on them, for the tests of this folder.
#pragma once

#include <algorithm>
#include <array>

#include "hardware_models/cluster_spec.hpp"
#include "sim/simulate.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::tests {

constexpr double nvlink = 400e9, nic = 50e9;  // bytes per second and direction

constexpr std::array every_kind{hw::CollectiveKind::all_reduce, hw::CollectiveKind::all_gather, hw::CollectiveKind::reduce_scatter,
                                hw::CollectiveKind::broadcast,  hw::CollectiveKind::all_to_all, hw::CollectiveKind::send};

/// A collective library without latency that reaches the full rate of every link.
inline hw::CollectiveSpec ideal_collectives() {
  hw::CollectiveSpec spec;
  for (const hw::CollectiveKind kind : every_kind) {
    spec.base_latency[kind] = Seconds(0);
    spec.nvlink_efficiency[kind] = {{1, 1.0}};
    spec.network_efficiency[kind] = 1.0;
  }
  return spec;
}

/// No latencies, no launch overheads, no efficiencies below 1, no oversubscription; rails of one pod under one
/// spine, so that no uplink is narrower than a NIC.
inline hw::ClusterSpec ideal_cluster(std::int64_t nodes, std::int64_t gpus_per_node) {
  hw::ClusterSpec cluster;
  cluster.name = "ideal";
  cluster.nodes = nodes;
  cluster.gpu.memory_bandwidth = BytesPerSecond(1e12);
  cluster.gpu.peak.fill(FlopPerSecond(1e15));
  cluster.node.gpus = gpus_per_node;
  cluster.node.nvlink_bandwidth = BytesPerSecond(nvlink);
  cluster.node.pcie_bandwidth = BytesPerSecond(64e9);
  cluster.fabric.nic_bandwidth = BytesPerSecond(nic);
  cluster.fabric.nodes_per_leaf = nodes;
  cluster.fabric.spines = 1;
  cluster.collectives = ideal_collectives();
  return cluster;
}

inline void scale_rates(hw::ClusterSpec& cluster, double factor) {
  for (FlopPerSecond& peak : cluster.gpu.peak) peak = peak * factor;
  for (BytesPerSecond* rate : {&cluster.gpu.memory_bandwidth, &cluster.node.nvlink_bandwidth, &cluster.node.pcie_bandwidth,
                               &cluster.fabric.nic_bandwidth}) {
    *rate = *rate * factor;
  }
}

inline sim::SimulationResult replay(const hw::ClusterSpec& cluster, const ir::Schedule& schedule, sim::SimulateOptions options = {}) {
  const ir::Instances instances = ir::match_instances(schedule);
  return sim::of_each_rank(sim::simulate(schedule, instances, hw::Topology(cluster), sim::cost_model(cluster), options), instances);
}

inline SimTime last_end(const ir::Trace& trace) {
  SimTime last{};
  for (const auto& ops : trace.ops) {
    for (const ir::OpInterval& op : ops) last = std::max(last, op.end);
  }
  return last;
}

inline double seconds(SimTime time) { return to_seconds(time).value(); }

}  // namespace fabricast::tests
