#include "sim/flow_network.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace fabricast::sim {
namespace {

enum class Kind : std::uint32_t { settle, complete };

constexpr SimTime never(std::numeric_limits<std::int64_t>::max());

// Flows lie scattered in the order in which they were solved: asked for so many early, they arrive in time.
constexpr std::size_t look_ahead = 8;

SimTime share_of(double share, SimTime time) { return SimTime(static_cast<std::int64_t>(share * static_cast<double>(time.value()))); }

SimTime earliest(std::span<const SimTime> times) {
  SimTime least = never;
  for (const SimTime time : times) least = std::min(least, time);
  return least;
}

/// Rounded up (by hand: without SSE4.1, std::ceil is a call). Multiplying first keeps the quotient exact where the time is a whole number
/// of picoseconds.
SimTime transfer_time(double bytes, Rate rate) {
  const double picoseconds = bytes * picoseconds_per_second / to_bytes_per_second(rate).value();
  if (!(picoseconds < 0x1p62)) throw std::overflow_error("a transfer takes longer than simulated time can count (53 days)");
  const auto whole = static_cast<std::int64_t>(picoseconds);
  return SimTime(static_cast<double>(whole) < picoseconds ? whole + 1 : whole);
}

}  // namespace

FlowNetwork::FlowNetwork(Engine& engine, std::uint32_t first_kind, std::span<const BytesPerSecond> capacity, FlowNetworkOptions options)
    : engine_(engine), first_kind_(first_kind), options_(options), rates_(capacity) {}

void FlowNetwork::start(PathId path, Bytes wire, FlowTag tag, FlowOwner owner) {
  const FlowId id = rates_.add(path);
  if (id.index() == flows_.size()) {
    flows_.emplace_back();
    facts_.emplace_back();
  }
  flows_[id.index()] = {static_cast<double>(wire.value()), Rate(0), engine_.now(), never};
  facts_[id.index()] = {engine_.now(), SimTime(0), tag, owner};
  request_settlement();
}

std::span<const FlowTag> FlowNetwork::handle(const Event& event) {
  ended_.clear();
  const ComponentId component{static_cast<std::int32_t>(event.subject)};
  if (static_cast<Kind>(event.kind - first_kind_) == Kind::settle) settle();
  else if (rates_.version(component) == event.detail) complete(component);
  return ended_;
}

void FlowNetwork::request_settlement() {
  if (settlement_requested_) return;
  settlement_requested_ = true;
  engine_.schedule(engine_.now(), {first_kind_ + static_cast<std::uint32_t>(Kind::settle), 0, 0});
}

void FlowNetwork::settle() {
  settlement_requested_ = false;
  for (const ComponentId component : rates_.settle()) plan_completion(component);
  if (options_.record_rates) loads_.record(engine_.now(), recorded_);
}

void FlowNetwork::plan_completion(ComponentId component) {
  Completions& next = completions_of(component);
  apply_rates(component, next.finish);
  SimTime end = earliest(next.finish);
  if (options_.patience.of_flow > 0.0) {
    const SimTime common = common_end(next);
    if (common > end) end_together(component, common, next);
    end = common;
  }
  next.ending.clear();
  for (std::size_t place = 0; place < next.finish.size(); ++place) {
    if (next.finish[place] <= end) next.ending.push_back(static_cast<std::int32_t>(place));
  }
  engine_.schedule(end, {first_kind_ + static_cast<std::uint32_t>(Kind::complete), static_cast<std::uint32_t>(component.value),
                         rates_.version(component)});
}

FlowNetwork::Completions& FlowNetwork::completions_of(ComponentId component) {
  if (completions_.size() <= component.index()) completions_.resize(component.index() + 1);
  Completions& next = completions_[component.index()];
  if (rates_.is_new(component)) copy_facts(component, next);
  return next;
}

void FlowNetwork::copy_facts(ComponentId component, Completions& completions) const {
  const auto members = rates_.members(component);
  completions.finish.resize(members.size());
  completions.start.resize(members.size());
  completions.kept.resize(members.size());
  completions.owner.resize(members.size());
  for (std::size_t place = 0; place < members.size(); ++place) {
    const FlowFacts& facts = facts_[members[place].index()];
    completions.finish[place] = flows_[members[place].index()].finish;
    completions.start[place] = facts.start;
    completions.kept[place] = facts.kept;
    completions.owner[place] = facts.owner;
  }
  completions.owners = completions.owner;
  std::sort(completions.owners.begin(), completions.owners.end());
  completions.owners.erase(std::unique(completions.owners.begin(), completions.owners.end()), completions.owners.end());
}

/// Flows whose rate stays end when they were going to.
void FlowNetwork::apply_rates(ComponentId component, std::vector<SimTime>& finish) {
  const auto members = rates_.members(component);
  const auto rates = rates_.rates(component);
  const auto solved = rates_.solved_last(component);
  for (std::size_t i = 0; i < solved.size(); ++i) {
    if (i + look_ahead < solved.size()) __builtin_prefetch(&flows_[members[solved[i + look_ahead]].index()]);
    const std::int32_t place = solved[i];
    Flow& flow = flows_[members[place].index()];
    if (flow.rate == rates[place]) continue;
    progress(flow);
    set_rate(members[place], rates[place]);
    flow.finish = finish[place] = engine_.now() + transfer_time(flow.remaining, flow.rate);
  }
}

void FlowNetwork::set_rate(FlowId id, Rate rate) {
  Flow& flow = flows_[id.index()];
  if (options_.record_rates && rate != unlimited_rate) loads_.change(rates_.crossings(id), flow.rate, rate);
  flow.rate = rate;
}

void FlowNetwork::progress(Flow& flow) {
  const Seconds elapsed = to_seconds(engine_.now() - flow.solved);
  flow.solved = engine_.now();
  if (elapsed > Seconds(0)) flow.remaining = std::max(0.0, flow.remaining - to_bytes_per_second(flow.rate).value() * elapsed.value());
}

/// The last end that all who end by then agree to. Who ends after the limit cannot lower it.
SimTime FlowNetwork::common_end(const Completions& completions) {
  find_last_ends(completions);
  SimTime limit = never, last{};
  for (std::size_t place = 0; place < completions.finish.size(); ++place) {
    if (completions.finish[place] < limit) limit = std::min(limit, latest_agreed(completions, place));
  }
  for (const SimTime finish : completions.finish) {
    if (finish <= limit) last = std::max(last, finish);
  }
  return last;
}

void FlowNetwork::find_last_ends(const Completions& completions) {
  if (last_end_.size() <= completions.owners.back()) last_end_.resize(completions.owners.back() + 1);
  for (const FlowOwner owner : completions.owners) last_end_[owner] = {};
  for (std::size_t place = 0; place < completions.finish.size(); ++place) {
    if (completions.finish[place] == never) continue;
    SimTime& last = last_end_[completions.owner[place]];
    last = std::max(last, completions.finish[place]);
  }
}

SimTime FlowNetwork::latest_agreed(const Completions& completions, std::size_t place) const {
  const SimTime finish = completions.finish[place], life = finish - completions.start[place];
  const SimTime far_from_end = share_of(options_.patience.before_end, last_end_[completions.owner[place]] - finish);
  const SimTime agreed = std::min(share_of(options_.patience.of_flow, life), far_from_end);
  return finish + std::max(SimTime(0), agreed - completions.kept[place]);
}

void FlowNetwork::end_together(ComponentId component, SimTime end, Completions& completions) {
  const auto members = rates_.members(component);
  auto& finish = completions.finish;
  held_.clear();
  held_rates_.clear();
  for (std::size_t place = 0; place < members.size(); ++place) {
    if (finish[place] > end) continue;
    slow_down(members[place], end, completions, place);
    held_.push_back(static_cast<std::int32_t>(place));
    held_rates_.push_back(flows_[members[place].index()].rate);
  }
  rates_.settle_around(component, held_, held_rates_);
  apply_rates(component, finish);
  for (std::size_t place = 0; place < members.size(); ++place) {
    if (finish[place] >= end) continue;
    slow_down(members[place], end, completions, place);   // what it now does not use is too little to deal out again
  }
}

/// Just enough to end at `end`.
void FlowNetwork::slow_down(FlowId id, SimTime end, Completions& completions, std::size_t place) {
  Flow& flow = flows_[id.index()];
  progress(flow);
  completions.kept[place] = facts_[id.index()].kept += end - flow.finish;
  const Seconds left = to_seconds(end - engine_.now());
  set_rate(id, std::min(flow.rate, to_rate(BytesPerSecond(flow.remaining / left.value()))));
  flow.finish = completions.finish[place] = end;
}

void FlowNetwork::complete(ComponentId component) {
  Completions& now = completions_[component.index()];
  const auto members = rates_.members(component);
  for (const std::int32_t place : now.ending) {
    const FlowId flow = members[place];
    now.finish[place] = never;
    ended_.push_back(facts_[flow.index()].tag);
    if (options_.record_rates) set_rate(flow, Rate(0));
    rates_.remove(flow);
  }
  request_settlement();
}

}  // namespace fabricast::sim
