#include "sim/collective_plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "hardware_models/byte_floor.hpp"
#include "sim/engine.hpp"
#include "sim/kernel_loads.hpp"
#include "sim/step_delay.hpp"

namespace fabricast::sim {
namespace {

std::vector<NodeId> nodes_of(std::span<const GpuId> gpu_of, const hw::Topology& topology) {
  std::vector<NodeId> nodes;
  nodes.reserve(gpu_of.size());
  for (const GpuId gpu : gpu_of) nodes.push_back(topology.node_of(gpu));
  return nodes;
}

/// How many members share each member's node, itself included.
std::vector<std::int64_t> node_sizes(std::span<const NodeId> nodes) {
  std::map<NodeId, std::int64_t> members_of;
  for (const NodeId node : nodes) ++members_of[node];
  std::vector<std::int64_t> result;
  result.reserve(nodes.size());
  for (const NodeId node : nodes) result.push_back(members_of[node]);
  return result;
}

/// The member that pays for a transfer: its sender, or the receiver of what a switch sends.
std::int32_t payer_of(const hw::Transfer& transfer) { return hw::is_switch(transfer.source) ? transfer.destination : transfer.source; }

/// A collective whose algorithm is chosen, with what its phases have in common.
struct Setting {
  hw::CollectiveKind kind;
  hw::CollectiveChoice choice;
  std::span<const GpuId> gpu_of;
  std::vector<std::int64_t> members_in_node;  // by member
  Bytes size;
  const hw::Topology& topology;
  const hw::CollectiveModel& model;
  hw::GroupSize fullest{};                    // in_node: of the fullest node
  Bytes pipeline_chunk{};
};

GpuId gpu_at(std::int32_t end, std::span<const GpuId> gpu_of) { return hw::is_switch(end) ? GpuId{end} : gpu_of[end]; }

bool crosses_nodes(const hw::Transfer& transfer, const Setting& setting) {
  for (const std::int32_t end : {transfer.source, transfer.destination}) {
    if (hw::is_switch(end)) return end == hw::network_switch;
  }
  return setting.topology.node_of(setting.gpu_of[transfer.source]) != setting.topology.node_of(setting.gpu_of[transfer.destination]);
}

StepDelay step_delay(const Setting& setting, std::int32_t steps, std::optional<std::int32_t> crossings) {
  const auto software = [&](bool crosses_nodes) { return setting.model.step_latency(setting.kind, setting.choice, crosses_nodes); };
  return {software(false), software(true), steps, crossings};
}

/// Where a member sends `moved` in all.
double efficiency(const Setting& setting, std::size_t member, bool crosses_nodes, Bytes moved) {
  const hw::GroupSize group{static_cast<std::int64_t>(setting.gpu_of.size()), setting.members_in_node[member]};
  return setting.model.efficiency(setting.kind, setting.choice, crosses_nodes, group, moved);
}

Bytes on_the_wire(Bytes payload, double efficiency) {
  return Bytes(static_cast<std::int64_t>(std::ceil(static_cast<double>(payload.value()) / efficiency)));
}

/// The model's answers for the transfers of one phase, asked once per member.
class PhaseCosts {
 public:
  PhaseCosts(const hw::Phase& phase, const Setting& setting)
      : setting_(setting), delay_(step_delay(setting, phase.steps, phase.crossings)) {
    std::vector<Bytes> moved(setting.gpu_of.size());
    for (const hw::Transfer& transfer : phase.transfers) moved[payer_of(transfer)] += transfer.bytes;
    for (std::size_t member = 0; member < moved.size(); ++member) {
      within_.push_back(efficiency(setting, member, false, moved[member]));
      across_.push_back(efficiency(setting, member, true, moved[member]));
    }
  }

  [[nodiscard]] SimTime delay(const hw::Transfer& transfer) const {
    const hw::Route route =
        route_between(gpu_at(transfer.source, setting_.gpu_of), gpu_at(transfer.destination, setting_.gpu_of), setting_.topology);
    return delay_.of(route.latency, crosses_nodes(transfer, setting_));
  }
  [[nodiscard]] PlannedTransfer planned(const hw::Transfer& transfer) const {
    const double efficiency = (crosses_nodes(transfer, setting_) ? across_ : within_)[payer_of(transfer)];
    return {transfer.source, transfer.destination, transfer.bytes, on_the_wire(transfer.bytes, efficiency)};
  }

 private:
  const Setting& setting_;
  StepDelay delay_;
  std::vector<double> within_, across_;  // efficiencies by member
};

struct DelayedTransfer {
  SimTime delay;
  PlannedTransfer transfer;
};

std::vector<DelayedTransfer> price(const hw::Phase& phase, const Setting& setting) {
  const PhaseCosts costs(phase, setting);
  std::vector<DelayedTransfer> priced;
  priced.reserve(phase.transfers.size());
  for (const hw::Transfer& transfer : phase.transfers) priced.push_back({costs.delay(transfer), costs.planned(transfer)});
  return priced;
}

/// How long the phase keeps its busiest member's link busy, alone and at the rate of the first route's narrowest link.
Seconds busy_time(std::span<const DelayedTransfer> priced, const Setting& setting) {
  std::vector<Bytes> out(setting.gpu_of.size()), in(setting.gpu_of.size());
  for (const auto& [delay, transfer] : priced) {
    if (!hw::is_switch(transfer.source)) out[transfer.source] += transfer.wire;
    if (!hw::is_switch(transfer.destination)) in[transfer.destination] += transfer.wire;
  }
  const Bytes most = std::max(*std::max_element(out.begin(), out.end()), *std::max_element(in.begin(), in.end()));
  const hw::Route route = route_of(priced.front().transfer, setting.gpu_of, setting.topology);
  BytesPerSecond narrowest = setting.topology.links()[route.links().front().index()].bandwidth;
  for (const LinkId link : route.links()) narrowest = std::min(narrowest, setting.topology.links()[link.index()].bandwidth);
  return most / narrowest;
}

SimTime longest_delay(std::span<const DelayedTransfer> priced) {
  SimTime longest{};
  for (const DelayedTransfer& transfer : priced) longest = std::max(longest, transfer.delay);
  return longest;
}

// k phases, each in p pieces, each piece through one phase after the other: Σ latencies + Σ T_i / p + (p-1)/p · max T. So a phase that runs
// at its own pace from Σ latencies + Σ of the others' T_i / p on ends no earlier than the pipeline does if it is the slowest, and before
// it otherwise. Under contention the phases' own paces decide.
std::vector<DelayedTransfer> run_side_by_side(std::vector<std::vector<DelayedTransfer>> phases, const Setting& setting) {
  const double pieces =
      std::max(1.0, static_cast<double>(setting.size.value()) / static_cast<double>(setting.pipeline_chunk.value()));
  SimTime latency{};
  Seconds one_piece_each{};
  std::vector<Seconds> piece;
  for (const auto& phase : phases) {
    latency += longest_delay(phase);
    piece.push_back(busy_time(phase, setting) / pieces);
    one_piece_each += piece.back();
  }
  std::vector<DelayedTransfer> all;
  for (std::size_t i = 0; i < phases.size(); ++i) {
    const SimTime delay = latency + countable_time(one_piece_each - piece[i]);
    for (DelayedTransfer& transfer : phases[i]) all.push_back({delay, transfer.transfer});
  }
  return all;
}

/// Adds `count` transfers: by delay, and in their own order where that is the same. They are asked for one by one instead of listed, since at a
/// million of them writing a list costs more than all that is computed.
template <class DelayOf, class TransferOf>
void append_phase(CollectivePlan& plan, std::size_t count, DelayOf delay_of, TransferOf transfer_of) {
  std::map<SimTime, std::int32_t> transfers_after;        // by delay: few, since few kinds of routes are
  for (std::size_t i = 0; i < count; ++i) ++transfers_after[delay_of(i)];
  const auto first_launch = static_cast<std::int32_t>(plan.launches.size());
  auto place = static_cast<std::int32_t>(plan.transfers.size());
  for (auto& [delay, transfers] : transfers_after) {
    plan.launches.push_back({delay, place, place + transfers});
    transfers = std::exchange(place, place + transfers);   // from now on: where the next one goes
  }
  plan.transfers.resize(place);
  for (std::size_t i = 0; i < count; ++i) {
    const PlannedTransfer transfer = transfer_of(i);
    plan.transfers[transfers_after[delay_of(i)]++] = transfer;
    for (const std::int32_t end : {transfer.source, transfer.destination}) {
      if (!hw::is_switch(end)) ++plan.transfers_of[end];
    }
  }
  plan.phases.push_back({first_launch, static_cast<std::int32_t>(plan.launches.size()), static_cast<std::int32_t>(count)});
}

void append_alone(CollectivePlan& plan, const hw::Phase& phase, const Setting& setting) {
  const PhaseCosts costs(phase, setting);
  append_phase(plan, phase.transfers.size(), [&](std::size_t i) { return costs.delay(phase.transfers[i]); },
               [&](std::size_t i) { return costs.planned(phase.transfers[i]); });
}

void append_side_by_side(CollectivePlan& plan, std::span<const hw::Phase> phases, const Setting& setting) {
  std::vector<std::vector<DelayedTransfer>> priced;
  for (const hw::Phase& phase : phases) priced.push_back(price(phase, setting));
  const std::vector<DelayedTransfer> all = run_side_by_side(std::move(priced), setting);
  append_phase(plan, all.size(), [&](std::size_t i) { return all[i].delay; }, [&](std::size_t i) { return all[i].transfer; });
}

void append_phases(CollectivePlan& plan, std::span<const hw::Phase> phases, const Setting& setting) {
  for (std::size_t first = 0; first < phases.size();) {
    std::size_t last = first + 1;
    while (setting.pipeline_chunk > Bytes{} && last < phases.size() && phases[last].pipelined) ++last;
    if (last == first + 1) {
      append_alone(plan, phases[first], setting);
    } else {
      append_side_by_side(plan, phases.subspan(first, last - first), setting);
    }
    first = last;
  }
}

/// What a sender's transfers cost depends on all that it sends to others, so senders of one kind are told apart by that.
BlockExchange::Pieces price(const hw::PieceTable& table, const Setting& setting) {
  const std::vector<Bytes> sent = hw::sent_by(table);
  BlockExchange::Pieces priced{{}, table.receives_as, table.receivers, {}};
  std::map<std::pair<std::int32_t, Bytes>, std::int32_t> senders;
  for (std::int32_t member = 0; member < static_cast<std::int32_t>(table.members()); ++member) {
    const std::int32_t kind = table.sends_as[member];
    const Bytes moved = sent[kind] - table.of(member, member);
    const auto [sender, is_new] = senders.try_emplace({kind, moved}, static_cast<std::int32_t>(senders.size()));
    priced.sends_as.push_back(sender->second);
    if (!is_new) continue;
    const double within = efficiency(setting, static_cast<std::size_t>(member), false, moved);
    const double across = efficiency(setting, static_cast<std::size_t>(member), true, moved);
    for (std::int32_t receiver = 0; receiver < table.receivers; ++receiver) {
      const Bytes piece = table.between(kind, receiver);
      priced.pieces.push_back({piece, on_the_wire(piece, within), on_the_wire(piece, across)});
    }
  }
  return priced;
}

bool sends_to_others(const hw::PieceTable& table) {
  const std::vector<Bytes> sent = hw::sent_by(table);
  for (std::int32_t member = 0; member < static_cast<std::int32_t>(table.members()); ++member) {
    if (sent[table.sends_as[member]] > table.of(member, member)) return true;
  }
  return false;
}

/// Nothing where transfers have to be listed.
std::optional<BlockExchange> exchange_of(const CollectiveRequest& asked, const Setting& setting) {
  const hw::CollectiveAlgorithm algorithm = setting.choice.algorithm;
  const bool at_once = algorithm == hw::CollectiveAlgorithm::flat || algorithm == hw::CollectiveAlgorithm::low_latency;
  if (!asked.table || !at_once || !BlockExchange::applies(asked.gpu_of, setting.topology)) return std::nullopt;
  if (!sends_to_others(*asked.table)) return std::nullopt;
  return BlockExchange(asked.gpu_of, setting.topology, step_delay(setting, 1, std::nullopt), price(*asked.table, setting));
}

CollectiveRequest with_all_counts(CollectiveRequest asked) {
  asked.counts = hw::counts_of(*asked.table);
  asked.table.reset();
  return asked;
}

/// What the busiest member sends over NVLink.
Bytes sent_in_node(std::span<const hw::Phase> phases, std::span<const NodeId> nodes) {
  std::vector<Bytes> sent(nodes.size());
  for (const hw::Phase& phase : phases) {
    for (const auto& [source, destination, bytes] : phase.transfers) {
      const bool in_node = hw::is_switch(source)        ? false
                           : hw::is_switch(destination) ? destination == hw::node_switch
                                                        : nodes[source] == nodes[destination];
      if (in_node) sent[source] += bytes;
    }
  }
  return *std::max_element(sent.begin(), sent.end());
}

Bytes sent_in_node(const hw::PieceTable& table, std::span<const NodeId> nodes) {
  std::map<NodeId, std::vector<std::int32_t>> members_of;
  for (std::size_t member = 0; member < nodes.size(); ++member) members_of[nodes[member]].push_back(static_cast<std::int32_t>(member));
  Bytes most{};
  for (const auto& [node, members] : members_of) {
    for (const std::int32_t source : members) {
      Bytes sent{};
      for (const std::int32_t destination : members) sent += source == destination ? Bytes{} : table.of(source, destination);
      most = std::max(most, sent);
    }
  }
  return most;
}

}  // namespace

hw::Route route_between(GpuId source, GpuId destination, const hw::Topology& topology) {
  const auto place = [](GpuId end) { return end.value == hw::node_switch ? hw::SwitchPlace::node : hw::SwitchPlace::network; };
  if (hw::is_switch(source.value)) return topology.from_switch(destination, place(source));
  if (hw::is_switch(destination.value)) return topology.to_switch(source, place(destination));
  return topology.route(source, destination);
}

hw::Route route_of(const PlannedTransfer& transfer, std::span<const GpuId> gpu_of, const hw::Topology& topology) {
  return route_between(gpu_at(transfer.source, gpu_of), gpu_at(transfer.destination, gpu_of), topology);
}

void bind_paths(CollectivePlan& plan, std::span<const GpuId> gpu_of, PathTable& paths) {
  for (PlannedTransfer& transfer : plan.transfers) {
    const GpuId source = gpu_at(transfer.source, gpu_of), destination = gpu_at(transfer.destination, gpu_of);
    transfer.path = paths.between(source, destination, [&] { return route_between(source, destination, paths.topology()); });
  }
}

CollectivePlan plan_collective(const CollectiveRequest& asked, const hw::Topology& topology, const hw::CollectiveModel& model) {
  const auto& [kind, wanted, gpu_of, counts, tokens, table] = asked;
  CollectivePlan plan;
  plan.transfers_of.resize(gpu_of.size());
  plan.loads.resize(gpu_of.size());
  if (gpu_of.size() < 2) return plan;
  const std::vector<NodeId> nodes = nodes_of(gpu_of, topology);
  const Bytes size = table ? hw::size_of(*table) : hw::size_of(kind, gpu_of.size(), counts);
  const hw::CollectiveChoice choice = model.choose(kind, wanted, nodes, size, tokens);
  Setting setting{kind, choice, gpu_of, node_sizes(nodes), size, topology, model};
  setting.fullest = {static_cast<std::int64_t>(gpu_of.size()), *std::max_element(setting.members_in_node.begin(), setting.members_in_node.end())};
  setting.pipeline_chunk = model.pipeline_chunk(choice, setting.fullest);
  plan.exchange = exchange_of(asked, setting);
  if (!plan.exchange && table) return plan_collective(with_all_counts(asked), topology, model);
  Bytes in_node{};   // what the busiest member sends there
  if (plan.exchange) {
    in_node = sent_in_node(*table, nodes);
  } else {
    const std::vector<hw::Phase> phases = hw::lower(kind, choice.algorithm, nodes, counts, choice.tokens);
    append_phases(plan, phases, setting);
    if (plan.transfers.empty()) return plan;
    in_node = sent_in_node(phases, nodes);
  }
  plan.base_latency = to_sim_time(model.base_latency(kind, choice) + model.fill(kind, choice, setting.fullest, in_node));
  if (choice.algorithm == hw::CollectiveAlgorithm::deduplicated) plan.floor = hw::token_exchange_floor(gpu_of, counts, topology, choice.tokens);
  else plan.floor = table ? hw::byte_floor(gpu_of, *table, topology) : hw::byte_floor(kind, gpu_of, counts, topology);
  plan.loads = kernel_loads(footprint_of(kind, choice.algorithm, size, nodes, model), plan, gpu_of, topology);
  return plan;
}

}  // namespace fabricast::sim
