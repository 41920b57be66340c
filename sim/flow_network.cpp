#include "sim/flow_network.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

namespace fabricast::sim {
namespace {

enum class Kind : std::uint32_t { settle, complete };

/// Rounded up (by hand: without SSE4.1, std::ceil is a call). Multiplying first keeps the quotient exact where the time is a whole number
/// of picoseconds.
SimTime transfer_time(double bytes, BytesPerSecond rate) {
  const double picoseconds = bytes * picoseconds_per_second / rate.value();
  if (!(picoseconds < 0x1p62)) throw std::overflow_error("a transfer takes longer than simulated time can count (53 days)");
  const auto whole = static_cast<std::int64_t>(picoseconds);
  return SimTime(static_cast<double>(whole) < picoseconds ? whole + 1 : whole);
}

}  // namespace

FlowNetwork::FlowNetwork(Engine& engine, std::uint32_t first_kind, std::vector<BytesPerSecond> capacity, FlowNetworkOptions options)
    : engine_(engine), first_kind_(first_kind), options_(options), rates_(std::move(capacity)) {}

void FlowNetwork::start(PathId path, Bytes wire, FlowTag tag) {
  const FlowId id = rates_.add(path);
  if (id.index() == flows_.size()) {
    flows_.emplace_back();
    component_of_.emplace_back();
  }
  Flow& flow = flows_[id.index()];
  flow.remaining = static_cast<double>(wire.value());
  flow.start = flow.solved = engine_.now();
  flow.held = {};
  flow.tag = tag;
  request_settlement();
}

std::span<const FlowTag> FlowNetwork::handle(const Event& event) {
  ended_.clear();
  if (static_cast<Kind>(event.kind - first_kind_) == Kind::settle) {
    settle();
  } else if (components_[event.subject].stamp == event.detail) {
    complete(event.subject);
  }
  return ended_;
}

void FlowNetwork::request_settlement() {
  if (settlement_requested_) return;
  settlement_requested_ = true;
  engine_.schedule(engine_.now(), {first_kind_ + static_cast<std::uint32_t>(Kind::settle), 0, 0});
}

void FlowNetwork::settle() {
  while (rate_anew(rates_.settle())) {
    if (options_.record_rates) record_changed_links();
  }
  if (options_.record_rates) record_changed_links();
  settlement_requested_ = false;
  longest_wait_ = {};
  for (const std::size_t component : unannounced_) announce_completion(component);
  unannounced_.clear();
}

/// True if there were flows among them that had ended by now and were waiting for their batch: they are gone, and the rest must be solved
/// once more.
bool FlowNetwork::rate_anew(std::span<const FairRates::Solved> solved) {
  bool ended = false;
  opened_.clear();
  for (const auto& [id, component] : solved) {
    Flow& flow = flows_[id.index()];
    if (component_of_[id.index()] != 0 && flow.finish <= engine_.now()) {
      end(id);
      ended = true;
      continue;
    }
    progress(flow);
    flow.rate = rates_.rate(id);
    flow.finish = engine_.now() + transfer_time(flow.remaining, flow.rate);
    while (opened_.size() <= static_cast<std::size_t>(component)) opened_.push_back(open_component());
    join(opened_[component], id);
  }
  return ended;
}

void FlowNetwork::progress(Flow& flow) {
  const Seconds elapsed = to_seconds(engine_.now() - flow.solved);
  if (elapsed == Seconds(0)) return;
  flow.remaining = std::max(0.0, flow.remaining - flow.rate.value() * elapsed.value());
  flow.solved = engine_.now();
  flow.held += longest_wait_;
}

std::size_t FlowNetwork::open_component() {
  std::size_t component = components_.size();
  if (free_components_.empty()) {
    components_.emplace_back();
  } else {
    component = free_components_.back();
    free_components_.pop_back();
  }
  components_[component].stamp = ++stamps_;
  components_[component].youngest = components_[component].most_held = {};
  unannounced_.push_back(component);
  return component;
}

void FlowNetwork::join(std::size_t index, FlowId id) {
  Component& component = components_[index];
  Flow& flow = flows_[id.index()];
  component_of_[id.index()] = component.stamp;
  component.members.push_back({id, flow.finish});
  component.youngest = std::max(component.youngest, flow.start);
  component.most_held = std::max(component.most_held, flow.held);
}

/// The batch ends.
void FlowNetwork::complete(std::size_t index) {
  const Component& component = components_[index];
  for (const auto& [id, finish] : component.members) {
    if (finish <= engine_.now() && belongs(id, component)) end(id);
  }
  unannounced_.push_back(index);
  request_settlement();
}

void FlowNetwork::end(FlowId id) {
  Flow& flow = flows_[id.index()];
  ended_.push_back(flow.tag);
  component_of_[id.index()] = 0;
  longest_wait_ = std::max(longest_wait_, engine_.now() - flow.finish);
  rates_.remove(id);
}

void FlowNetwork::announce_completion(std::size_t index) {
  Component& component = components_[index];
  std::erase_if(component.members, [&](const auto& member) { return !belongs(member.flow, component); });
  if (component.members.empty()) {
    component.stamp = 0;
    free_components_.push_back(index);
    return;
  }
  engine_.schedule(batch_end(component),
                   {first_kind_ + static_cast<std::uint32_t>(Kind::complete), static_cast<std::uint32_t>(index), component.stamp});
}

/// The last end that the member with the least patience lets the others wait for.
SimTime FlowNetwork::batch_end(const Component& component) const {
  SimTime first(std::numeric_limits<std::int64_t>::max());
  for (const auto& member : component.members) first = std::min(first, member.finish);
  const double life = static_cast<double>((first - component.youngest).value());
  const double patience = options_.completion_tolerance * life - static_cast<double>(component.most_held.value());
  const SimTime limit = first + SimTime(std::max<std::int64_t>(0, static_cast<std::int64_t>(patience)));
  SimTime last = first;
  for (const auto& member : component.members) {
    if (member.finish <= limit) last = std::max(last, member.finish);
  }
  return last;
}

void FlowNetwork::record_changed_links() {
  for (const LinkId link : rates_.changed_links()) {
    if (recorded_loads_.size() <= link.index()) recorded_loads_.resize(link.index() + 1);
    BytesPerSecond& recorded = recorded_loads_[link.index()];
    if (recorded == rates_.load(link)) continue;
    recorded = rates_.load(link);
    recorded_.push_back({engine_.now(), link, recorded});
  }
}

}  // namespace fabricast::sim
