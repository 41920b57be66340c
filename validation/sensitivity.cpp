#include "validation/sensitivity.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "validation/report_parts.hpp"

namespace fabricast::validation {

namespace {

void scale(hw::TransferMode& mode, double f) {
  for (Seconds* latency : {&mode.call, &mode.nvlink_step, &mode.network_step, &mode.fill}) *latency = *latency * f;
}

void scale_software_latency(hw::CollectiveSpec& collectives, double f) {
  for (auto& [kind, latency] : collectives.base_latency) latency = latency * f;
  collectives.nvlink_step_latency = collectives.nvlink_step_latency * f;
  collectives.network_step_latency = collectives.network_step_latency * f;
  if (!collectives.kernels) return;
  hw::LibraryKernels& kernels = *collectives.kernels;
  kernels.call = kernels.call * f;
  for (hw::TransferMode* mode :
       {&kernels.ll, &kernels.ll128, &kernels.simple, &kernels.point_to_point, &kernels.nvls, &kernels.nvls_tree}) {
    scale(*mode, f);
  }
  if (!kernels.tokens) return;
  hw::TokenKernels& tokens = *kernels.tokens;
  for (hw::TransferMode* mode : {&tokens.dispatch.mode, &tokens.combine.mode, &tokens.low_latency}) scale(*mode, f);
}

constexpr double knob_change = 0.1;   // relative, either way

/// Nodes that differ are scaled with the others.
template <class Change>
void each_gpu(hw::ClusterSpec& cluster, Change change_gpu) {
  change_gpu(cluster.gpu);
  for (hw::OtherNodes& entry : cluster.other_nodes) {
    if (entry.gpu) change_gpu(*entry.gpu);
  }
}

void scale(hw::ClusterSpec& cluster, BytesPerSecond& usual, std::optional<BytesPerSecond> hw::OtherNodes::*other, double factor) {
  usual = usual * factor;
  for (hw::OtherNodes& entry : cluster.other_nodes) {
    if (entry.*other) *(entry.*other) = *(entry.*other) * factor;
  }
}

/// A property of the cluster, alone or with others that rise together.
struct Knob {
  const char* name;
  bool more_is_better;
  void (*scale)(hw::ClusterSpec& cluster, double factor);
};

const std::array<Knob, 10> knobs{{
    {"peak FLOP/s", true,
     [](hw::ClusterSpec& c, double f) {
       each_gpu(c, [f](hw::GpuSpec& gpu) {
         for (FlopPerSecond& peak : gpu.peak) peak = peak * f;
       });
     }},
    {"memory bandwidth", true,
     [](hw::ClusterSpec& c, double f) { each_gpu(c, [f](hw::GpuSpec& gpu) { gpu.memory_bandwidth = gpu.memory_bandwidth * f; }); }},
    {"SMs at the same peak", true,
     [](hw::ClusterSpec& c, double f) {
       each_gpu(c, [f](hw::GpuSpec& gpu) {
         gpu.streaming_multiprocessors = std::llround(static_cast<double>(gpu.streaming_multiprocessors) * f);
       });
     }},
    {"kernel launch", false,
     [](hw::ClusterSpec& c, double f) {
       each_gpu(c, [f](hw::GpuSpec& gpu) {
         gpu.launch = gpu.launch * f;
         gpu.gemm.setup = gpu.gemm.setup * f;
       });
     }},
    {"NVLink bandwidth", true, [](hw::ClusterSpec& c, double f) { scale(c, c.node.nvlink_bandwidth, &hw::OtherNodes::nvlink_bandwidth, f); }},
    {"InfiniBand bandwidth", true, [](hw::ClusterSpec& c, double f) { scale(c, c.fabric.nic_bandwidth, &hw::OtherNodes::nic_bandwidth, f); }},
    {"PCIe bandwidth", true, [](hw::ClusterSpec& c, double f) { scale(c, c.node.pcie_bandwidth, &hw::OtherNodes::pcie_bandwidth, f); }},
    {"NVLink latency", false, [](hw::ClusterSpec& c, double f) { c.node.nvlink_latency = c.node.nvlink_latency * f; }},
    {"InfiniBand latency", false,
     [](hw::ClusterSpec& c, double f) {
       c.fabric.nic_latency = c.fabric.nic_latency * f;
       c.fabric.switch_latency = c.fabric.switch_latency * f;
     }},
    {"communication software latency", false,
     [](hw::ClusterSpec& c, double f) { scale_software_latency(c.collectives, f); }},
}};

/// Throughput with one knob turned, over that of the base.
double throughput_with(const Knob& knob, double factor, const Experiment& experiment, const Forecast& base, const sim::SimulateOptions& options) {
  hw::ClusterSpec cluster = experiment.cluster;
  knob.scale(cluster, factor);
  const hw::Topology topology(cluster);
  const sim::CostModel cost = sim::cost_model(cluster);
  const TimeSpan step = step_of(sim::simulate(base.schedule, base.instances, topology, cost, options).trace);
  const TimeSpan before = step_of(base.result.trace);
  return static_cast<double>((before.end - before.start).value()) / static_cast<double>((step.end - step.start).value());
}

}  // namespace

std::vector<KnobEffect> sensitivity(const Experiment& experiment, const Forecast& base, sim::SimulateOptions options) {
  options.record_link_rates = false;
  std::vector<KnobEffect> effects;
  for (const Knob& knob : knobs) {
    const double more = throughput_with(knob, 1 + knob_change, experiment, base, options);
    const double less = throughput_with(knob, 1 - knob_change, experiment, base, options);
    const double elasticity = std::log(more / less) / std::log((1 + knob_change) / (1 - knob_change));
    effects.push_back({knob.name, knob.more_is_better ? knob_change : -knob_change, (knob.more_is_better ? more : less) - 1,
                       (knob.more_is_better ? less : more) - 1, elasticity});
  }
  std::stable_sort(effects.begin(), effects.end(), [](const KnobEffect& a, const KnobEffect& b) { return a.gain > b.gain; });
  return effects;
}

}  // namespace fabricast::validation
