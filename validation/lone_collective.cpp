#include "validation/lone_collective.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "hardware_models/config_error.hpp"
#include "sim/collective_plan.hpp"
#include "validation/measured_group.hpp"

namespace fabricast::validation {

namespace {

using hw::CollectiveAlgorithm;
using hw::CollectiveKind;

/// What a model may choose of itself or be asked for; exchanges of tokens need their routing and are measured elsewhere.
constexpr std::array lone_algorithms{CollectiveAlgorithm::ring,      CollectiveAlgorithm::two_level,    CollectiveAlgorithm::flat,
                                     CollectiveAlgorithm::rail_ring, CollectiveAlgorithm::tree,         CollectiveAlgorithm::nvls,
                                     CollectiveAlgorithm::nvls_tree, CollectiveAlgorithm::hierarchical, CollectiveAlgorithm::sharp};

[[noreturn]] void refuse(const CollectiveMeasurement& row, const std::string& what) {
  throw hw::ConfigError(fmt::format("{}:{}: {} among {} x {} GPUs: {}", row.place.file, row.place.line, hw::name_of(row.kind), row.nodes,
                                    row.gpus_per_node, what));
}

std::vector<GpuId> members_of(const CollectiveMeasurement& row, const hw::Topology& topology) {
  if (row.nodes > topology.nodes() || row.gpus_per_node > topology.gpus_per_node()) {
    refuse(row, fmt::format("the cluster has {} x {}; name one that is large enough with --cluster", topology.nodes(), topology.gpus_per_node()));
  }
  if (row.nodes * row.gpus_per_node < 2) refuse(row, "a collective has two members or more");
  return group_of(row, topology);
}

std::vector<Bytes> counts_of(CollectiveKind kind, Bytes size, std::size_t members) {
  const auto n = static_cast<std::int64_t>(members);
  switch (kind) {
    case CollectiveKind::all_gather:
    case CollectiveKind::reduce_scatter: return std::vector<Bytes>(members, size / n);
    case CollectiveKind::all_to_all: return std::vector<Bytes>(members * members, size / n);
    default: return {size};
  }
}

bool crosses(const hw::Transfer& transfer, const std::vector<NodeId>& nodes) {
  for (const std::int32_t end : {transfer.source, transfer.destination}) {
    if (hw::is_switch(end)) return end == hw::network_switch;
  }
  return nodes[transfer.source] != nodes[transfer.destination];
}

GpuId end_of(std::int32_t end, const std::vector<GpuId>& gpus) { return hw::is_switch(end) ? GpuId{end} : gpus[end]; }

}  // namespace

LoneCollective::LoneCollective(const CollectiveMeasurement& row, const hw::Topology& topology, bool switches_reduce, bool network_reduces)
    : kind_(row.kind), wanted_(row.algorithm), size_(row.bytes), gpus_(members_of(row, topology)) {
  for (const GpuId gpu : gpus_) nodes_.push_back(topology.node_of(gpu));
  group_ = {static_cast<std::int64_t>(gpus_.size()), row.kind == CollectiveKind::send && row.nodes > 1 ? 1 : row.gpus_per_node};
  if (wanted_ != CollectiveAlgorithm::automatic && !hw::applies(kind_, wanted_, nodes_)) {
    refuse(row, fmt::format("the algorithm {} does not run there", hw::name_of(wanted_)));
  }
  for (const CollectiveAlgorithm algorithm : lone_algorithms) {
    const bool in_switches = algorithm == CollectiveAlgorithm::nvls || algorithm == CollectiveAlgorithm::nvls_tree;
    if ((in_switches && !switches_reduce) || (algorithm == CollectiveAlgorithm::sharp && !network_reduces)) continue;
    if (hw::applies(kind_, algorithm, nodes_)) ways_[algorithm] = way_of(hw::lower(kind_, algorithm, nodes_, counts_of(kind_, size_, gpus_.size())), topology);
  }
}

LoneCollective::Way LoneCollective::way_of(const std::vector<hw::Phase>& phases, const hw::Topology& topology) const {
  Way way;
  std::vector<Bytes> sent_in_node(gpus_.size());
  std::map<LinkId, std::vector<Seconds>> asked;
  for (const hw::Phase& lowered : phases) {
    Phase phase{{}, {}, static_cast<double>(lowered.steps), lowered.crossings, lowered.pipelined};
    std::vector<Bytes> sent(gpus_.size());
    std::map<LinkId, Bytes> within, across;
    for (const hw::Transfer& transfer : lowered.transfers) {
      const bool leaves = crosses(transfer, nodes_);
      const hw::Route route = sim::route_between(end_of(transfer.source, gpus_), end_of(transfer.destination, gpus_), topology);
      Share& share = leaves ? phase.across : phase.within;
      share.route_latency = std::max(share.route_latency, route.latency);
      for (const LinkId link : route.links()) (leaves ? across : within)[link] += transfer.bytes;
      sent[hw::is_switch(transfer.source) ? transfer.destination : transfer.source] += transfer.bytes;
      if (!leaves && !hw::is_switch(transfer.source)) sent_in_node[transfer.source] += transfer.bytes;
    }
    const Bytes most = *std::max_element(sent.begin(), sent.end());
    for (const auto& [links, share] : {std::pair{&within, &phase.within}, std::pair{&across, &phase.across}}) {
      for (const auto& [link, bytes] : *links) {
        const Seconds busy = bytes / topology.links()[link.index()].bandwidth;
        share->busiest_link = std::max(share->busiest_link, busy);
        share->sent = most;
        asked.try_emplace(link, 2 * phases.size()).first->second[2 * way.phases.size() + (share == &phase.across ? 1 : 0)] = busy;
      }
    }
    way.phases.push_back(phase);
  }
  std::set<std::vector<Seconds>> different;
  for (auto& [link, busy] : asked) different.insert(std::move(busy));
  way.links.assign(different.begin(), different.end());
  way.sent_in_node = *std::max_element(sent_in_node.begin(), sent_in_node.end());
  return way;
}

LoneCollective::PhaseTime LoneCollective::time_of(const Phase& phase, const hw::CollectiveModel& model, const hw::CollectiveChoice& choice) const {
  const Seconds step_within = model.step_latency(kind_, choice, false), step_across = model.step_latency(kind_, choice, true);
  const auto span = [&](const Share& share, bool leaves) {
    if (share.empty()) return Span{};
    const double all = phase.steps, own = !phase.crossings ? all : leaves ? *phase.crossings : all - *phase.crossings;
    const Seconds software = !phase.crossings ? (leaves ? step_across : step_within) * all
                                              : step_across * *phase.crossings + step_within * (all - *phase.crossings);
    const double per_filled = 1.0 / model.efficiency(kind_, choice, leaves, group_, share.sent);
    return Span{software + share.route_latency * own, share.busiest_link * per_filled, per_filled};
  };
  return {span(phase.within, false), span(phase.across, true)};
}

/// Phases in p pieces, one after the other: Σ latencies + Σ T_i / p + (p - 1) / p · the busiest link's time in all of them.
Seconds LoneCollective::pipelined(const Way& way, std::size_t first, const std::vector<PhaseTime>& phases, Bytes chunk) const {
  if (phases.size() == 1) {
    const PhaseTime& only = phases.front();
    return std::max(only.within.latency + only.within.busy, only.across.latency + only.across.busy);
  }
  const double pieces = std::max(1.0, static_cast<double>(size_.value()) / static_cast<double>(chunk.value()));
  Seconds latency, one_piece_each, busiest;
  for (const PhaseTime& phase : phases) {
    latency += std::max(phase.within.latency, phase.across.latency);
    one_piece_each += std::max(phase.within.busy, phase.across.busy) / pieces;
  }
  for (const std::vector<Seconds>& link : way.links) {
    Seconds busy;
    for (std::size_t i = 0; i < phases.size(); ++i) {
      busy += link[2 * (first + i)] * phases[i].within.per_filled + link[2 * (first + i) + 1] * phases[i].across.per_filled;
    }
    busiest = std::max(busiest, busy);
  }
  return latency + one_piece_each + busiest * ((pieces - 1) / pieces);
}

Seconds LoneCollective::time(const hw::CollectiveModel& model) const {
  const hw::CollectiveChoice choice = model.choose(kind_, wanted_, nodes_, size_);
  const Way& way = ways_.at(choice.algorithm);
  Seconds time = model.base_latency(kind_, choice) + model.fill(kind_, choice, group_, way.sent_in_node);
  const Bytes chunk = model.pipeline_chunk(choice, group_);
  for (std::size_t first = 0; first < way.phases.size();) {
    std::vector<PhaseTime> pipeline{time_of(way.phases[first], model, choice)};
    std::size_t next = first + 1;
    while (chunk > Bytes{} && next < way.phases.size() && way.phases[next].pipelined) pipeline.push_back(time_of(way.phases[next++], model, choice));
    time += pipelined(way, first, pipeline, chunk);
    first = next;
  }
  return time;
}

}  // namespace fabricast::validation
