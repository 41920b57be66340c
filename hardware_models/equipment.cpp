#include "hardware_models/equipment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

#include "hardware_models/config_error.hpp"

namespace fabricast::hw {
namespace {

/// The last entry that speaks of the node, or none.
const OtherNodes* entry_of(const ClusterSpec& cluster, std::int64_t node) {
  const OtherNodes* found = nullptr;
  for (const OtherNodes& entry : cluster.other_nodes) {
    if (entry.first <= node && node <= entry.last) found = &entry;
  }
  return found;
}

template <class Value>
Value given(const OtherNodes* entry, std::optional<Value> OtherNodes::*what, Value usual) {
  return entry ? (entry->*what).value_or(usual) : usual;
}

class Equipper {
 public:
  explicit Equipper(const ClusterSpec& cluster) : cluster_(cluster) {}

  Equipment build() {
    for (std::int64_t node = 0; node < cluster_.nodes; ++node) equip_node(node);
    apply_nvlink_faults();
    if (cluster_.nodes > 1) {
      apply_nic_faults();
      rehome();
    }
    return std::move(result_);
  }

 private:
  void equip_node(std::int64_t node) {
    const OtherNodes* entry = entry_of(cluster_, node);
    const std::int64_t gpus = cluster_.node.gpus, ports = ports_of(cluster_, node), nics_per_port = nics_of(cluster_, node) / ports;
    const BytesPerSecond nic = given(entry, &OtherNodes::nic_bandwidth, cluster_.fabric.nic_bandwidth);
    const auto first_port = static_cast<std::int64_t>(result_.ports.size());
    for (std::int64_t port = 0; port < ports; ++port) {
      const BytesPerSecond bandwidth = nic * static_cast<double>(nics_per_port);
      result_.ports.push_back({node, port, port * nics_per_port, nics_per_port, bandwidth, bandwidth});
    }
    for (std::int64_t gpu = 0; gpu < gpus; ++gpu) {
      result_.nvlink.push_back(given(entry, &OtherNodes::nvlink_bandwidth, cluster_.node.nvlink_bandwidth));
      result_.pcie.push_back(given(entry, &OtherNodes::pcie_bandwidth, cluster_.node.pcie_bandwidth));
      result_.port_of.push_back(static_cast<std::int32_t>(first_port + gpu / (gpus / ports)));
    }
    result_.most_ports = std::max(result_.most_ports, ports);
  }

  void apply_nvlink_faults() {
    const auto& faults = cluster_.faults.nvlinks;
    for (std::size_t i = 0; i < faults.size(); ++i) {
      if (faults[i].bandwidth == 0.0 && cluster_.node.gpus > 1) {
        throw ConfigError(fmt::format("without NVLink, GPU {} of node {} is cut off from the others of its node; leave the node out, or give "
                                      "the share of bandwidth that is left", faults[i].part, faults[i].node),
                          fmt::format("/cluster/faults/nvlinks/{}/bandwidth", i));
      }
      BytesPerSecond& nvlink = result_.nvlink[faults[i].node * cluster_.node.gpus + faults[i].part];
      nvlink = nvlink * faults[i].bandwidth;
    }
  }

  void apply_nic_faults() {
    std::map<std::pair<std::int64_t, std::int64_t>, double> left;   // by node and NIC
    for (const Faults::Part& fault : cluster_.faults.nics) left[{fault.node, fault.part}] = fault.bandwidth;
    if (left.empty()) return;
    for (NicPort& port : result_.ports) {
      double slowest = 1.0;
      std::int64_t working = 0;
      for (std::int64_t nic = port.first_nic; nic < port.first_nic + port.nics; ++nic) {
        const auto fault = left.find({port.node, nic});
        const double share = fault == left.end() ? 1.0 : fault->second;
        if (share == 0.0) continue;
        slowest = std::min(slowest, share);
        ++working;
      }
      port.bandwidth = port.nominal * (slowest * static_cast<double>(working) / static_cast<double>(port.nics));
    }
  }

  /// A GPU whose NICs have failed uses the nearest port that works, as NCCL does; of two as near the lower one.
  void rehome() {
    for (std::size_t gpu = 0; gpu < result_.port_of.size(); ++gpu) {
      const NicPort& own = result_.ports[result_.port_of[gpu]];
      if (own.bandwidth > BytesPerSecond(0)) continue;
      const auto first = result_.port_of[gpu] - static_cast<std::int32_t>(own.index);
      std::optional<std::int32_t> nearest;
      for (std::int32_t port = first; port < static_cast<std::int32_t>(result_.ports.size()) && result_.ports[port].node == own.node; ++port) {
        if (result_.ports[port].bandwidth == BytesPerSecond(0)) continue;
        if (!nearest || std::abs(port - result_.port_of[gpu]) < std::abs(*nearest - result_.port_of[gpu])) nearest = port;
      }
      if (!nearest) {
        throw ConfigError(fmt::format("all NICs of node {} have failed, which cuts its GPUs off; leave the node out, or leave one NIC working",
                                      own.node),
                          "/cluster/faults/nics");
      }
      rehomed_.emplace_back(gpu, *nearest);
    }
    for (const auto& [gpu, port] : rehomed_) result_.port_of[gpu] = port;
  }

  const ClusterSpec& cluster_;
  Equipment result_;
  std::vector<std::pair<std::size_t, std::int32_t>> rehomed_;
};

}  // namespace

std::int64_t nics_of(const ClusterSpec& cluster, std::int64_t node) {
  return given(entry_of(cluster, node), &OtherNodes::nics, cluster.node.nics.value_or(cluster.node.gpus));
}

std::int64_t ports_of(const ClusterSpec& cluster, std::int64_t node) { return std::min(nics_of(cluster, node), cluster.node.gpus); }

Equipment equip(const ClusterSpec& cluster) { return Equipper(cluster).build(); }

Bytes least_memory(const ClusterSpec& cluster) {
  Bytes least = cluster.gpu.memory;
  for (const OtherNodes& entry : cluster.other_nodes) {
    if (entry.gpu) least = std::min(least, entry.gpu->memory);
  }
  return least;
}

GpuClasses gpu_classes(const ClusterSpec& cluster) {
  std::map<std::int64_t, double> slowdown;                                      // by GpuId
  for (const Faults::SlowGpu& slow : cluster.faults.slow_gpus) slowdown[slow.node * cluster.node.gpus + slow.gpu] = slow.slowdown;
  std::map<std::pair<const GpuSpec*, double>, std::int32_t> known;              // looked up only
  GpuClasses classes;
  classes.of.reserve(cluster.gpus());
  for (std::int64_t node = 0; node < cluster.nodes; ++node) {
    const OtherNodes* entry = entry_of(cluster, node);
    const GpuSpec& spec = entry && entry->gpu ? *entry->gpu : cluster.gpu;
    for (std::int64_t gpu = node * cluster.node.gpus; gpu < (node + 1) * cluster.node.gpus; ++gpu) {
      const auto slow = slowdown.find(gpu);
      const double factor = slow == slowdown.end() ? 1.0 : slow->second;
      const auto [place, is_new] = known.emplace(std::pair(&spec, factor), static_cast<std::int32_t>(classes.specs.size()));
      if (is_new) {
        classes.specs.push_back(spec);
        classes.specs.back().slowdown = factor;
      }
      classes.of.push_back(place->second);
    }
  }
  return classes;
}

}  // namespace fabricast::hw
