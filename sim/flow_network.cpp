#include "sim/flow_network.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

namespace fabricast::sim {
namespace {

enum class Kind : std::uint32_t { settle, complete };

/// Rounded up. Multiplying first keeps the quotient exact where the time is a whole number of picoseconds.
SimTime transfer_time(double bytes, BytesPerSecond rate) {
  const double picoseconds = std::ceil(bytes * picoseconds_per_second / rate.value());
  if (!(picoseconds < 0x1p62)) throw std::overflow_error("a transfer takes longer than simulated time can count (53 days)");
  return SimTime(static_cast<std::int64_t>(picoseconds));
}

}  // namespace

FlowNetwork::FlowNetwork(Engine& engine, std::uint32_t first_kind, std::vector<BytesPerSecond> capacity, FlowNetworkOptions options)
    : engine_(engine), first_kind_(first_kind), capacity_(std::move(capacity)), options_(options), uses_(capacity_.size()),
      sets_(capacity_.size()) {}

PathId FlowNetwork::add_path(std::span<const LinkId> links) {
  path_links_.insert(path_links_.end(), links.begin(), links.end());
  path_first_.push_back(path_links_.size());
  return PathId{static_cast<std::int32_t>(path_first_.size()) - 2};
}

void FlowNetwork::start(PathId path, Bytes wire, FlowTag tag) {
  FlowIndex flow = static_cast<FlowIndex>(flows_.size());
  if (free_flows_.empty()) {
    flows_.emplace_back();
  } else {
    flow = free_flows_.back();
    free_flows_.pop_back();
  }
  flows_[flow] = {static_cast<double>(wire.value()), BytesPerSecond(0.0), engine_.now(), SimTime{}, SimTime{}, tag, path};
  new_flows_.push_back(flow);
  request_settlement();
}

std::span<const FlowTag> FlowNetwork::handle(const Event& event) {
  ended_.clear();
  if (static_cast<Kind>(event.kind - first_kind_) == Kind::settle) {
    settle();
  } else if (components_[event.subject].generation == event.detail) {
    dissolve(static_cast<std::int32_t>(event.subject));
    request_settlement();
  }
  return ended_;
}

std::span<const LinkId> FlowNetwork::links_of(PathId path) const {
  const std::size_t first = path_first_[path.index()];
  return {path_links_.data() + first, path_first_[path.index() + 1] - first};
}

void FlowNetwork::request_settlement() {
  if (settlement_requested_) return;
  settlement_requested_ = true;
  engine_.schedule(engine_.now(), {first_kind_ + static_cast<std::uint32_t>(Kind::settle), 0, 0});
}

void FlowNetwork::settle() {
  settlement_requested_ = false;
  dissolve_components_met_by_new_flows();
  partition_restless_flows();
  for (const std::int32_t component : opened_) share_out(component);
  if (options_.record_rates) record_vacated_links();
}

/// Its flows end or wait for new rates.
void FlowNetwork::dissolve(std::int32_t index) {
  Component& component = components_[index];
  if (component.flows.empty()) return;
  for (const FlowIndex flow : component.flows) {
    if (flows_[flow].finish <= engine_.now()) {
      end(flow);
    } else {
      progress(flows_[flow], component);
      restless_.push_back(flow);
    }
  }
  component.flows.clear();
  ++component.generation;
  free_components_.push_back(index);
}

void FlowNetwork::end(FlowIndex flow) {
  ended_.push_back(flows_[flow].tag);
  for (const LinkId link : links_of(flows_[flow].path)) {
    uses_[link.index()].component = none;
    if (options_.record_rates) vacated_.push_back(link);
  }
  free_flows_.push_back(flow);
}

void FlowNetwork::progress(Flow& flow, const Component& component) const {
  const Seconds elapsed = to_seconds(engine_.now() - component.solved);
  flow.remaining = std::max(0.0, flow.remaining - flow.rate.value() * elapsed.value());
  flow.held += std::max(SimTime{}, engine_.now() - component.first_finish);
}

void FlowNetwork::dissolve_components_met_by_new_flows() {
  for (const FlowIndex flow : new_flows_) {
    for (const LinkId link : links_of(flows_[flow].path)) {
      const std::int32_t component = uses_[link.index()].component;
      if (component != none) dissolve(component);
    }
  }
  restless_.insert(restless_.end(), new_flows_.begin(), new_flows_.end());
  new_flows_.clear();
}

void FlowNetwork::partition_restless_flows() {
  sets_.reset();
  for (const FlowIndex flow : restless_) join_links_of(flows_[flow]);
  opened_.clear();
  for (const FlowIndex flow : restless_) {
    const auto links = links_of(flows_[flow].path);
    std::int32_t component = links.empty() ? none : uses_[sets_.find(links.front().value)].component;
    if (component == none) {
      component = open_component();
      if (!links.empty()) uses_[sets_.find(links.front().value)].component = component;
    }
    components_[component].flows.push_back(flow);
  }
  restless_.clear();
}

void FlowNetwork::join_links_of(const Flow& flow) {
  std::int32_t set = none;
  for (const LinkId link : links_of(flow.path)) {
    uses_[link.index()].component = uses_[link.index()].local = none;
    const std::int32_t other = sets_.find(link.value);
    set = set == none ? other : sets_.join(set, other);
  }
}

std::int32_t FlowNetwork::open_component() {
  std::int32_t component = static_cast<std::int32_t>(components_.size());
  if (free_components_.empty()) {
    components_.emplace_back();
  } else {
    component = free_components_.back();
    free_components_.pop_back();
  }
  opened_.push_back(component);
  return component;
}

void FlowNetwork::share_out(std::int32_t index) {
  pose_problem(index);
  rates_.resize(components_[index].flows.size());
  solver_.solve({problem_first_, problem_links_, problem_capacity_}, rates_);
  announce_completion(index);
  if (options_.record_rates) record_rates_of(components_[index]);
}

/// Numbers the component's links from 0 in the order in which its flows name them.
void FlowNetwork::pose_problem(std::int32_t index) {
  problem_first_.assign(1, 0);
  problem_links_.clear();
  problem_capacity_.clear();
  problem_link_ids_.clear();
  for (const FlowIndex flow : components_[index].flows) {
    for (const LinkId link : links_of(flows_[flow].path)) {
      LinkUse& use = uses_[link.index()];
      if (use.local == none) {
        use.local = static_cast<std::int32_t>(problem_capacity_.size());
        use.component = index;
        problem_capacity_.push_back(capacity_[link.index()]);
        problem_link_ids_.push_back(link);
      }
      problem_links_.push_back(use.local);
    }
    problem_first_.push_back(static_cast<std::int32_t>(problem_links_.size()));
  }
}

void FlowNetwork::announce_completion(std::int32_t index) {
  Component& component = components_[index];
  component.solved = engine_.now();
  component.first_finish = SimTime(std::numeric_limits<std::int64_t>::max());
  for (std::size_t i = 0; i < component.flows.size(); ++i) {
    Flow& flow = flows_[component.flows[i]];
    flow.rate = rates_[i];
    flow.finish = engine_.now() + transfer_time(flow.remaining, flow.rate);
    component.first_finish = std::min(component.first_finish, flow.finish);
  }
  engine_.schedule(batch_end(component),
                   {first_kind_ + static_cast<std::uint32_t>(Kind::complete), static_cast<std::uint32_t>(index), component.generation});
}

/// The last end that the flow with the least patience lets the others wait for.
SimTime FlowNetwork::batch_end(const Component& component) const {
  const SimTime first = component.first_finish;
  if (options_.completion_tolerance == 0.0) return first;
  double patience = std::numeric_limits<double>::max();
  for (const FlowIndex index : component.flows) {
    const Flow& flow = flows_[index];
    const double life = static_cast<double>((first - flow.start).value());
    patience = std::min(patience, options_.completion_tolerance * life - static_cast<double>(flow.held.value()));
  }
  const SimTime limit = first + SimTime(std::max<std::int64_t>(0, static_cast<std::int64_t>(patience)));
  SimTime last = first;
  for (const FlowIndex index : component.flows) {
    if (flows_[index].finish <= limit) last = std::max(last, flows_[index].finish);
  }
  return last;
}

void FlowNetwork::record_rates_of(const Component& component) {
  loads_.assign(problem_capacity_.size(), BytesPerSecond(0.0));
  for (std::size_t i = 0; i < component.flows.size(); ++i) {
    for (std::int32_t crossing = problem_first_[i]; crossing < problem_first_[i + 1]; ++crossing) {
      loads_[problem_links_[crossing]] += rates_[i];
    }
  }
  for (std::size_t link = 0; link < loads_.size(); ++link) record(problem_link_ids_[link], loads_[link]);
}

void FlowNetwork::record_vacated_links() {
  for (const LinkId link : vacated_) {
    if (uses_[link.index()].component == none) record(link, BytesPerSecond(0.0));
  }
  vacated_.clear();
}

void FlowNetwork::record(LinkId link, BytesPerSecond rate) {
  if (uses_[link.index()].rate == rate) return;
  uses_[link.index()].rate = rate;
  recorded_.push_back({engine_.now(), link, rate});
}

}  // namespace fabricast::sim
