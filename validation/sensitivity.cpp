#include "validation/sensitivity.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

constexpr double change = 0.1;   // relative, either way

/// A property of the cluster, alone or with others that rise together.
struct Knob {
  const char* name;
  bool more_is_better;
  void (*scale)(hw::ClusterSpec& cluster, double factor);
};

const std::array<Knob, 10> knobs{{
    {"peak FLOP/s", true,
     [](hw::ClusterSpec& c, double f) {
       for (FlopPerSecond& peak : c.gpu.peak) peak = peak * f;
     }},
    {"memory bandwidth", true, [](hw::ClusterSpec& c, double f) { c.gpu.memory_bandwidth = c.gpu.memory_bandwidth * f; }},
    {"SMs at the same peak", true,
     [](hw::ClusterSpec& c, double f) {
       c.gpu.streaming_multiprocessors = std::llround(static_cast<double>(c.gpu.streaming_multiprocessors) * f);
     }},
    {"kernel launch", false,
     [](hw::ClusterSpec& c, double f) {
       c.gpu.launch = c.gpu.launch * f;
       c.gpu.gemm.setup = c.gpu.gemm.setup * f;
     }},
    {"NVLink bandwidth", true, [](hw::ClusterSpec& c, double f) { c.node.nvlink_bandwidth = c.node.nvlink_bandwidth * f; }},
    {"InfiniBand bandwidth", true, [](hw::ClusterSpec& c, double f) { c.fabric.nic_bandwidth = c.fabric.nic_bandwidth * f; }},
    {"PCIe bandwidth", true, [](hw::ClusterSpec& c, double f) { c.node.pcie_bandwidth = c.node.pcie_bandwidth * f; }},
    {"NVLink latency", false, [](hw::ClusterSpec& c, double f) { c.node.nvlink_latency = c.node.nvlink_latency * f; }},
    {"InfiniBand latency", false,
     [](hw::ClusterSpec& c, double f) {
       c.fabric.nic_latency = c.fabric.nic_latency * f;
       c.fabric.switch_latency = c.fabric.switch_latency * f;
     }},
    {"communication software latency", false,
     [](hw::ClusterSpec& c, double f) {
       for (auto& [kind, latency] : c.collectives.base_latency) latency = latency * f;
       c.collectives.nvlink_step_latency = c.collectives.nvlink_step_latency * f;
       c.collectives.network_step_latency = c.collectives.network_step_latency * f;
     }},
}};

/// Throughput with one knob turned, over that of the base.
double throughput_with(const Knob& knob, double factor, const Experiment& experiment, const Forecast& base, const sim::SimulateOptions& options) {
  hw::ClusterSpec cluster = experiment.cluster;
  knob.scale(cluster, factor);
  const hw::Topology topology(cluster);
  const sim::CostModel cost{hw::GpuCostModel(cluster.gpu), hw::CollectiveModel(cluster.collectives)};
  const TimeSpan step = step_of(sim::simulate(base.schedule, base.instances, topology, cost, options).trace);
  const TimeSpan before = step_of(base.result.trace);
  return static_cast<double>((before.end - before.start).value()) / static_cast<double>((step.end - step.start).value());
}

}  // namespace

std::vector<KnobEffect> sensitivity(const Experiment& experiment, const Forecast& base, sim::SimulateOptions options) {
  options.record_link_rates = false;
  std::vector<KnobEffect> effects;
  for (const Knob& knob : knobs) {
    const double more = throughput_with(knob, 1 + change, experiment, base, options);
    const double less = throughput_with(knob, 1 - change, experiment, base, options);
    const double elasticity = std::log(more / less) / std::log((1 + change) / (1 - change));
    effects.push_back({knob.name, knob.more_is_better ? change : -change, (knob.more_is_better ? more : less) - 1,
                       (knob.more_is_better ? less : more) - 1, elasticity});
  }
  std::stable_sort(effects.begin(), effects.end(), [](const KnobEffect& a, const KnobEffect& b) { return a.gain > b.gain; });
  return effects;
}

}  // namespace fabricast::validation
