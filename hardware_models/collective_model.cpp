#include "hardware_models/collective_model.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

namespace fabricast::hw {

namespace {

constexpr std::array all_kinds{CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                               CollectiveKind::broadcast,  CollectiveKind::all_to_all, CollectiveKind::send};

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

bool on_one_node(std::span<const NodeId> node_of) {
  return std::all_of(node_of.begin(), node_of.end(), [&](NodeId node) { return node == node_of.front(); });
}

/// In the absence of a wish.
CollectiveAlgorithm preferred(CollectiveKind kind, std::span<const NodeId> node_of) {
  if (kind == CollectiveKind::all_to_all || kind == CollectiveKind::send) return CollectiveAlgorithm::flat;
  return applies(kind, CollectiveAlgorithm::two_level, node_of) ? CollectiveAlgorithm::two_level : CollectiveAlgorithm::ring;
}

}  // namespace

CollectiveModel::CollectiveModel(CollectiveSpec spec) : spec_(std::move(spec)) {
  for (const CollectiveKind kind : all_kinds) {
    if (!complete(spec_, kind)) {
      throw std::invalid_argument("a collective profile needs a latency and efficiencies in (0, 1] of " + std::string(name_of(kind)));
    }
  }
  if (spec_.nvlink_ramp.small_cost < 1.0) throw std::invalid_argument("small transfers cannot cost less per byte than large ones");
}

CollectiveAlgorithm CollectiveModel::choose(CollectiveKind kind, CollectiveAlgorithm wanted, std::span<const NodeId> node_of) const {
  const bool two_levels = wanted == CollectiveAlgorithm::two_level || wanted == CollectiveAlgorithm::hierarchical;
  if (wanted == CollectiveAlgorithm::automatic || (two_levels && on_one_node(node_of))) return preferred(kind, node_of);
  return wanted;
}

Seconds CollectiveModel::base_latency(CollectiveKind kind) const { return spec_.base_latency.at(kind); }

Seconds CollectiveModel::step_latency(bool crosses_nodes) const {
  return crosses_nodes ? spec_.network_step_latency : spec_.nvlink_step_latency;
}

double CollectiveModel::efficiency(CollectiveKind kind, bool crosses_nodes, std::int64_t members_in_node) const {
  return crosses_nodes ? spec_.network_efficiency.at(kind) : interpolate(spec_.nvlink_efficiency.at(kind), members_in_node);
}

// Cost per byte over a large transfer's: 1 + (small_cost − 1) · size / (size + sent).
double CollectiveModel::efficiency(CollectiveKind kind, bool crosses_nodes, std::int64_t members_in_node, Bytes sent) const {
  const double large = efficiency(kind, crosses_nodes, members_in_node);
  const TransferRamp& ramp = spec_.nvlink_ramp;
  if (crosses_nodes || ramp.size == Bytes(0)) return large;
  const double size = static_cast<double>(ramp.size.value());
  return large / (1.0 + (ramp.small_cost - 1.0) * size / (size + static_cast<double>(sent.value())));
}

}  // namespace fabricast::hw
