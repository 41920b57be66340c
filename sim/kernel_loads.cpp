#include "sim/kernel_loads.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace fabricast::sim {
namespace {

constexpr std::int64_t channels_per_peer = 2;

/// Infinite where ranks share a GPU and no link is crossed.
BytesPerSecond narrowest(const hw::Route& route, const hw::Topology& topology) {
  BytesPerSecond rate(std::numeric_limits<double>::infinity());
  for (const LinkId link : route.links()) rate = std::min(rate, topology.links()[link.index()].bandwidth);
  return rate;
}

/// Adds up a collective: what each member moves, and the time that all of it takes alone.
class Account {
 public:
  Account(const hw::KernelFootprint& footprint, std::span<const GpuId> gpu_of, const hw::Topology& topology)
      : footprint_(footprint), gpu_of_(gpu_of), topology_(topology), moved_(gpu_of.size()) {}

  void add_phase(const CollectivePlan& plan, const PlannedPhase& phase) {
    for (AtRate& one : busy_) std::fill(one.bytes.begin(), one.bytes.end(), std::array<Bytes, kinds>{});
    SimTime delay{};
    for (std::int32_t launch = phase.first; launch < phase.last; ++launch) {
      delay = std::max(delay, plan.launches[launch].delay);
      for (std::int32_t i = plan.launches[launch].first; i < plan.launches[launch].last; ++i) add_transfer(plan.transfers[i]);
    }
    alone_ += to_seconds(delay) + longest_busy();
  }

  void add_exchange(const BlockExchange& exchange) {
    SimTime delay{};
    const auto rates_of = [&](std::int32_t, std::span<const LinkId> own_links) {
      EndKind rates{};
      std::transform(own_links.begin(), own_links.end(), rates.begin(), [&](LinkId link) {
        return std::bit_cast<std::uint64_t>(topology_.links()[link.index()].bandwidth.value());
      });
      return rates;
    };
    exchange.for_each_block(rates_of, [&](const TransferBlock& block) {
      delay = std::max(delay, block.delay);
      AtRate& busy = at(narrowest(block.route, topology_));
      for (std::size_t i = 0; i < block.sources.size(); ++i) {
        const std::int64_t times = block.sent[i];
        add_sent(block.sources[i], block.crosses_nodes, block.payload * times, block.wire * times, busy);
      }
      for (std::size_t i = 0; i < block.destinations.size(); ++i) {
        const std::int64_t times = block.received[i];
        add_received(block.destinations[i], block.crosses_nodes, block.payload * times, block.wire * times, busy);
      }
    });
    alone_ += to_seconds(delay) + longest_busy();
  }

  [[nodiscard]] std::vector<hw::GpuLoad> loads(Seconds base_latency) const {
    const Seconds time = base_latency + alone_;
    std::vector<hw::GpuLoad> result;
    for (const Moved& moved : moved_) {
      const double traffic = static_cast<double>(moved.sent.value()) * footprint_.hbm_per_byte_sent +
                             static_cast<double>(moved.received.value()) * footprint_.hbm_per_byte_received;
      result.push_back({footprint_.sms, BytesPerSecond(std::ceil(traffic / time.value()))});
    }
    return result;
  }

 private:
  enum Links : std::size_t { nvlink_out, nvlink_in, network_out, network_in, kinds };

  struct Moved {
    Bytes sent, received;
  };
  /// What the members' own links carry on routes whose narrowest link has this rate. Summed before it is divided, so that the order does
  /// not matter.
  struct AtRate {
    BytesPerSecond rate;
    std::vector<std::array<Bytes, kinds>> bytes;     // by member
  };

  void add_transfer(const PlannedTransfer& transfer) {
    const bool crosses = crosses_nodes(transfer);
    AtRate& busy = at(narrowest(route_of(transfer, gpu_of_, topology_), topology_));
    if (!hw::is_switch(transfer.source)) add_sent(transfer.source, crosses, transfer.payload, transfer.wire, busy);
    if (!hw::is_switch(transfer.destination)) add_received(transfer.destination, crosses, transfer.payload, transfer.wire, busy);
  }

  void add_sent(std::int32_t member, bool crosses_nodes, Bytes payload, Bytes wire, AtRate& busy) {
    busy.bytes[member][crosses_nodes ? network_out : nvlink_out] += wire;
    moved_[member].sent += payload;
  }
  void add_received(std::int32_t member, bool crosses_nodes, Bytes payload, Bytes wire, AtRate& busy) {
    busy.bytes[member][crosses_nodes ? network_in : nvlink_in] += wire;
    moved_[member].received += payload;
  }

  [[nodiscard]] AtRate& at(BytesPerSecond rate) {
    const auto found = std::find_if(busy_.begin(), busy_.end(), [&](const AtRate& one) { return one.rate == rate; });
    return found != busy_.end() ? *found : busy_.emplace_back(AtRate{rate, std::vector<std::array<Bytes, kinds>>(gpu_of_.size())});
  }

  /// Of each member's own links, the one that takes longest.
  [[nodiscard]] Seconds longest_busy() {
    std::sort(busy_.begin(), busy_.end(), [](const AtRate& a, const AtRate& b) { return a.rate < b.rate; });
    Seconds longest{};
    for (std::size_t member = 0; member < gpu_of_.size(); ++member) {
      for (std::size_t links = 0; links < kinds; ++links) {
        Seconds busy{};
        for (const AtRate& one : busy_) busy += one.bytes[member][links] / one.rate;
        longest = std::max(longest, busy);
      }
    }
    return longest;
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
  std::vector<Moved> moved_;                         // by member, payload
  std::vector<AtRate> busy_;                         // in the phase; few rates differ
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
  if (plan.transfers.empty() && !plan.exchange) return std::vector<hw::GpuLoad>(gpu_of.size());
  Account account(footprint, gpu_of, topology);
  for (const PlannedPhase& phase : plan.phases) account.add_phase(plan, phase);
  if (plan.exchange) account.add_exchange(*plan.exchange);
  return account.loads(to_seconds(plan.base_latency));
}

}  // namespace fabricast::sim
