#include "hardware_models/collective_model.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "hardware_models/library_kernels.hpp"

namespace fabricast::hw {

namespace {

bool is_share(double value) { return value > 0.0 && value <= 1.0; }

bool complete(const CollectiveSpec& spec, CollectiveKind kind) {
  const auto latency = spec.base_latency.find(kind);
  const auto nvlink = spec.nvlink_efficiency.find(kind);
  const auto network = spec.network_efficiency.find(kind);
  const bool named =
      latency != spec.base_latency.end() && nvlink != spec.nvlink_efficiency.end() && network != spec.network_efficiency.end();
  return named && latency->second >= Seconds(0) && is_share(network->second) && !nvlink->second.empty() &&
         std::all_of(nvlink->second.begin(), nvlink->second.end(), [](const auto& entry) { return is_share(entry.second); });
}

double interpolate(const std::map<std::int64_t, double>& by_members, std::int64_t members) {
  const auto above = by_members.lower_bound(members);
  if (above == by_members.end()) return by_members.rbegin()->second;
  if (above->first == members || above == by_members.begin()) return above->second;
  const auto below = std::prev(above);
  const double way = static_cast<double>(members - below->first) / static_cast<double>(above->first - below->first);
  return below->second + (above->second - below->second) * way;
}

/// Where no tuner is profiled.
CollectiveAlgorithm preferred(CollectiveKind kind, std::span<const NodeId> node_of) {
  if (kind == CollectiveKind::all_to_all || kind == CollectiveKind::send) return CollectiveAlgorithm::flat;
  return applies(kind, CollectiveAlgorithm::two_level, node_of) ? CollectiveAlgorithm::two_level : CollectiveAlgorithm::ring;
}

GroupShape shape_of(std::span<const NodeId> node_of) {
  std::map<NodeId, std::int64_t> members_of;
  for (const NodeId node : node_of) ++members_of[node];
  const auto as_many = [&](const auto& entry) { return entry.second == members_of.begin()->second; };
  return {static_cast<std::int64_t>(node_of.size()), static_cast<std::int64_t>(members_of.size()),
          std::all_of(members_of.begin(), members_of.end(), as_many)};
}

/// What remains of an algorithm on one node.
CollectiveAlgorithm on_one_node(CollectiveAlgorithm wanted) {
  switch (wanted) {
    case CollectiveAlgorithm::two_level:
    case CollectiveAlgorithm::rail_ring:
    case CollectiveAlgorithm::sharp: return CollectiveAlgorithm::ring;
    case CollectiveAlgorithm::nvls_tree: return CollectiveAlgorithm::nvls;
    case CollectiveAlgorithm::hierarchical: return CollectiveAlgorithm::flat;
    default: return wanted;
  }
}

bool switches_suffice(CollectiveAlgorithm algorithm, const CollectiveSpec& spec) {
  switch (algorithm) {
    case CollectiveAlgorithm::nvls:
    case CollectiveAlgorithm::nvls_tree: return spec.in_switch_reduction;
    case CollectiveAlgorithm::sharp: return spec.in_network_reduction;
    default: return true;
  }
}

bool is_mode(const TransferMode& mode) {
  const bool latencies = mode.call >= Seconds(0) && mode.nvlink_step >= Seconds(0) && mode.network_step >= Seconds(0) &&
                         mode.fill >= Seconds(0) && mode.fill_size > Bytes(0);
  return latencies && is_share(mode.nvlink_share) && is_share(mode.network_share);
}

void require_complete(const CollectiveSpec& spec) {
  if (!spec.kernels) {
    for (const CollectiveKind kind : all_collective_kinds) {
      if (complete(spec, kind)) continue;
      throw std::invalid_argument("a collective profile needs a latency and efficiencies in (0, 1] of " + std::string(name_of(kind)));
    }
    if (spec.nvlink_ramp.small_cost < 1.0) throw std::invalid_argument("small transfers cannot cost less per byte than large ones");
    return;
  }
  const LibraryKernels& kernels = *spec.kernels;
  for (const TransferMode* mode :
       {&kernels.ll, &kernels.ll128, &kernels.simple, &kernels.point_to_point, &kernels.nvls, &kernels.nvls_tree}) {
    if (!is_mode(*mode)) throw std::invalid_argument("a mode needs latencies, shares in (0, 1] and a fill size above 0");
  }
  if (kernels.point_to_point_ll && !is_mode(*kernels.point_to_point_ll)) {
    throw std::invalid_argument("point_to_point_ll needs latencies, shares in (0, 1] and a fill size above 0");
  }
  if (const auto& loops = kernels.switch_loops) {
    const bool sized = loops->in_node > Bytes(0) && loops->across > Bytes(0);
    if (!sized || loops->loop < Seconds(0) || loops->stages < 0 || loops->stages_across < 0) {
      throw std::invalid_argument("loops of NVSwitches need chunks above 0 and latencies");
    }
  }
  if (const auto& tuner = kernels.tuner) {
    for (const TunerEstimate* of : {&tuner->ll, &tuner->ll128, &tuner->simple, tuner->nvls ? &*tuner->nvls : &tuner->simple}) {
      if (of->rate <= BytesPerSecond(0)) throw std::invalid_argument("a tuner's estimates need rates above 0");
    }
  }
  if (kernels.message < Seconds(0)) throw std::invalid_argument("a message cannot take less than no time");
  if (kernels.tokens) {
    for (const TokenKernel* kernel : {&kernels.tokens->dispatch, &kernels.tokens->combine}) {
      if (is_mode(kernel->mode) && kernel->nvlink_per_sm > BytesPerSecond(0) && kernel->forwarding >= 1.0) continue;
      throw std::invalid_argument("a token kernel needs a mode and the rates of its SMs");
    }
    if (!is_mode(kernels.tokens->low_latency)) throw std::invalid_argument("low latency needs shares in (0, 1] and a fill size above 0");
  }
  if (kernels.nvlink <= BytesPerSecond(0) || kernels.network <= BytesPerSecond(0)) {
    throw std::invalid_argument("shares of a link need the link's rate");
  }
}

}  // namespace

std::string_view name_of(CollectiveProtocol protocol) {
  switch (protocol) {
    case CollectiveProtocol::ll: return "ll";
    case CollectiveProtocol::ll128: return "ll128";
    case CollectiveProtocol::simple: return "simple";
  }
  throw std::invalid_argument("unknown protocol");
}

CollectiveModel::CollectiveModel(CollectiveSpec spec) : spec_(std::move(spec)) { require_complete(spec_); }

CollectiveChoice CollectiveModel::choose(CollectiveKind kind, CollectiveAlgorithm wanted, std::span<const NodeId> node_of, Bytes size,
                                         const TokenRouting& tokens) const {
  const GroupShape shape = shape_of(node_of);
  if (shape.nodes == 1) wanted = on_one_node(wanted);
  if (!applies(kind, wanted, node_of) || !switches_suffice(wanted, spec_)) wanted = CollectiveAlgorithm::automatic;
  if (wanted == CollectiveAlgorithm::deduplicated) return {wanted, CollectiveProtocol::simple, tokens};
  if (spec_.kernels && shape.members > 1) return tune(spec_, kind, wanted, shape, size);
  return {wanted == CollectiveAlgorithm::automatic ? preferred(kind, node_of) : wanted};
}

Seconds CollectiveModel::base_latency(CollectiveKind kind, const CollectiveChoice& choice) const {
  if (spec_.kernels) return spec_.kernels->call + mode_of(*spec_.kernels, kind, choice).call;
  return spec_.base_latency.at(kind);
}

Seconds CollectiveModel::step_latency(CollectiveKind kind, const CollectiveChoice& choice, bool crosses_nodes) const {
  if (spec_.kernels) {
    const TransferMode& mode = mode_of(*spec_.kernels, kind, choice);
    return crosses_nodes ? mode.network_step : mode.nvlink_step;
  }
  return crosses_nodes ? spec_.network_step_latency : spec_.nvlink_step_latency;
}

// By kind, the cost per byte over a large transfer's: 1 + (small_cost − 1) · size / (size + sent).
double CollectiveModel::efficiency(CollectiveKind kind, const CollectiveChoice& choice, bool crosses_nodes, GroupSize group,
                                   Bytes sent) const {
  if (spec_.kernels) {
    return crosses_nodes ? network_share(spec_, kind, choice) : nvlink_share(spec_, kind, choice, group);
  }
  if (crosses_nodes) return spec_.network_efficiency.at(kind);
  const double large = interpolate(spec_.nvlink_efficiency.at(kind), group.in_node);
  const TransferRamp& ramp = spec_.nvlink_ramp;
  if (ramp.size == Bytes(0)) return large;
  const double size = static_cast<double>(ramp.size.value());
  return large / (1.0 + (ramp.small_cost - 1.0) * size / (size + static_cast<double>(sent.value())));
}

Seconds CollectiveModel::fill(CollectiveKind kind, const CollectiveChoice& choice, GroupSize group, Bytes sent) const {
  return spec_.kernels ? fill_time(spec_, kind, choice, group, sent) : Seconds(0);
}

Bytes CollectiveModel::pipeline_chunk(const CollectiveChoice& choice, GroupSize group) const { return hw::pipeline_chunk(spec_, choice, group); }

}  // namespace fabricast::hw
