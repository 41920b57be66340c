#include "sim/kernel_loads.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace fabricast::sim {
namespace {

constexpr std::int64_t channels_per_peer = 2;

Seconds narrowest_link_time(Bytes wire, const hw::Route& route, const hw::Topology& topology) {
  Seconds time{};
  for (const LinkId link : route.links()) time = std::max(time, wire / topology.links()[link.index()].bandwidth);
  return time;
}

/// Adds up a collective: each member's memory traffic, and the time that all of it takes alone.
class Account {
 public:
  Account(const hw::KernelFootprint& footprint, std::span<const GpuId> gpu_of, const hw::Topology& topology)
      : footprint_(footprint), gpu_of_(gpu_of), topology_(topology), traffic_(gpu_of.size()) {}

  void add_phase(const CollectivePlan& plan, const PlannedPhase& phase) {
    busy_.assign(gpu_of_.size(), {});
    SimTime delay{};
    for (std::int32_t launch = phase.first; launch < phase.last; ++launch) {
      delay = std::max(delay, plan.launches[launch].delay);
      for (std::int32_t i = plan.launches[launch].first; i < plan.launches[launch].last; ++i) add_transfer(plan.transfers[i]);
    }
    Seconds longest{};
    for (const auto& links : busy_) longest = std::max(longest, *std::max_element(links.begin(), links.end()));
    alone_ += to_seconds(delay) + longest;
  }

  [[nodiscard]] std::vector<hw::GpuLoad> loads(Seconds base_latency) const {
    const Seconds time = base_latency + alone_;
    std::vector<hw::GpuLoad> result;
    for (const double bytes : traffic_) result.push_back({footprint_.sms, BytesPerSecond(std::ceil(bytes / time.value()))});
    return result;
  }

 private:
  enum Links : std::size_t { nvlink_out, nvlink_in, network_out, network_in, kinds };

  void add_transfer(const PlannedTransfer& transfer) {
    const bool crosses = crosses_nodes(transfer);
    const Seconds time = narrowest_link_time(transfer.wire, route_of(transfer, gpu_of_, topology_), topology_);
    const auto payload = static_cast<double>(transfer.payload.value());
    if (!hw::is_switch(transfer.source)) {
      busy_[transfer.source][crosses ? network_out : nvlink_out] += time;
      traffic_[transfer.source] += payload * footprint_.hbm_per_byte_sent;
    }
    if (!hw::is_switch(transfer.destination)) {
      busy_[transfer.destination][crosses ? network_in : nvlink_in] += time;
      traffic_[transfer.destination] += payload * footprint_.hbm_per_byte_received;
    }
  }

  [[nodiscard]] bool crosses_nodes(const PlannedTransfer& transfer) const {
    for (const std::int32_t end : {transfer.source, transfer.destination}) {
      if (hw::is_switch(end)) return end == hw::network_switch;
    }
    return topology_.node_of(gpu_of_[transfer.source]) != topology_.node_of(gpu_of_[transfer.destination]);
  }

  hw::KernelFootprint footprint_;
  std::span<const GpuId> gpu_of_;
  const hw::Topology& topology_;
  std::vector<double> traffic_;                      // bytes, by member
  std::vector<std::array<Seconds, kinds>> busy_;     // of each member's own links in the phase
  Seconds alone_{};
};

}  // namespace

hw::KernelFootprint footprint_of(hw::CollectiveKind kind, hw::CollectiveAlgorithm algorithm, Bytes size, std::span<const NodeId> node_of,
                                 const hw::CollectiveModel& model) {
  hw::KernelFootprint footprint = model.footprint(kind, algorithm, size);
  const bool point_to_point = kind == hw::CollectiveKind::send || kind == hw::CollectiveKind::all_to_all;
  const bool spans_nodes = std::any_of(node_of.begin(), node_of.end(), [&](NodeId node) { return node != node_of.front(); });
  if (point_to_point && spans_nodes) {
    footprint.sms = std::min(footprint.sms, channels_per_peer * (static_cast<std::int64_t>(node_of.size()) - 1));
  }
  return footprint;
}

std::vector<hw::GpuLoad> kernel_loads(const hw::KernelFootprint& footprint, const CollectivePlan& plan, std::span<const GpuId> gpu_of,
                                      const hw::Topology& topology) {
  if (plan.transfers.empty()) return std::vector<hw::GpuLoad>(gpu_of.size());
  Account account(footprint, gpu_of, topology);
  for (const PlannedPhase& phase : plan.phases) account.add_phase(plan, phase);
  return account.loads(to_seconds(plan.base_latency));
}

}  // namespace fabricast::sim
