#include "sim/fair_rates.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace fabricast::sim {
namespace {

// A problem is put together anew when so few of its flows are left that walking over the others costs more.
bool worth_compacting(const MaxMinProblem& problem) { return problem.flows_left() * 2 < problem.flows(); }

// Visits flows in long strides, which soon meet every link: neighbours tend to share theirs. Prime, so that nearly any number of flows is
// walked through completely; where not, the caller goes one by one.
constexpr std::size_t stride = 1021;

}  // namespace

FairRates::FairRates(std::span<const BytesPerSecond> capacity) {
  links_.reserve(capacity.size());
  for (const BytesPerSecond c : capacity) {
    if (to_rate(c) == fastest_rate) throw std::overflow_error("a link is faster than simulated rates can count (70 TB/s)");
    Link link;
    link.capacity = to_rate(c);
    link.whole_capacity = static_cast<std::int64_t>(std::floor(c.value()));
    links_.push_back(std::move(link));
  }
}

PathId FairRates::add_path(std::span<const LinkId> links, std::span<const std::int32_t> weights) {
  Path path{crossings_.size(), crossings_.size() + links.size(), 0};
  Rate narrowest = unlimited_rate;
  for (std::size_t i = 0; i < links.size(); ++i) {
    crossings_.push_back({links[i].value, weights.empty() ? 1 : weights[i]});
    narrowest = std::min(narrowest, links_[links[i].index()].capacity);
  }
  if (!links.empty()) path.narrowest = static_cast<std::int64_t>(std::ceil(to_bytes_per_second(narrowest).value()));
  paths_.push_back(path);
  return PathId{static_cast<std::int32_t>(paths_.size()) - 1};
}

FlowId FairRates::add(PathId path) {
  const FlowId id = take_id();
  Flow& flow = flows_[id.index()];
  flow = {path, none, none, ++serials_};
  for (const Crossing& crossing : crossings(path)) {
    Link& link = links_[crossing.link];
    link.wanted += paths_[path.index()].narrowest * crossing.weight;
    link.weight += crossing.weight;
    link.flows.push_back({id, flow.serial});
  }
  loose_.push_back(id);
  return id;
}

/// Ids start anew when no flow is left, so that flows which start together stay neighbours in memory.
FlowId FairRates::take_id() {
  if (flows() == 0) {
    free_.clear();
    ids_ = 0;
  }
  if (!free_.empty()) {
    const FlowId id = free_.back();
    free_.pop_back();
    return id;
  }
  if (ids_ == flows_.size()) flows_.emplace_back();
  return FlowId{static_cast<std::int32_t>(ids_++)};
}

void FairRates::remove(FlowId id) {
  Flow& flow = flows_[id.index()];
  assert(flow.component != none && "a flow is settled before it is removed");
  Component& component = components_[flow.component];
  component.problem.remove(flow.place);
  if (component.held_together && component.holds[flow.place] != 0) component.held_together = false;
  component.flows[flow.place] = no_flow;
  if (!component.changed) changed_.push_back(ComponentId{flow.component});
  component.changed = true;
  for (const Crossing& crossing : crossings(flow.path)) {
    Link& link = links_[crossing.link];
    link.wanted -= paths_[flow.path.index()].narrowest * crossing.weight;
    link.weight -= crossing.weight;
    if (link.weight == 0) link.flows.clear();
  }
  flow.serial = ++serials_;
  free_.push_back(id);
}

Rate FairRates::rate(FlowId flow) const {
  const Flow& it = flows_[flow.index()];
  return components_[it.component].problem.rates()[it.place];
}

std::span<const ComponentId> FairRates::settle() {
  settled_.clear();
  // Joining flows first: what they dissolve need not be looked at for its own changes. Dissolving makes more flows loose.
  for (std::size_t i = 0; i < loose_.size(); ++i) {
    if (flows_[loose_[i].index()].component == none) gather(loose_[i]);
  }
  for (const ComponentId id : changed_) {
    if (components_[id.index()].changed) settle_after_removals(id);
  }
  for (std::size_t i = 0; i < loose_.size(); ++i) {
    if (flows_[loose_[i].index()].component == none) gather(loose_[i]);
  }
  loose_.clear();
  changed_.clear();
  for (const ComponentId id : settled_) solve(id);
  return settled_;
}

void FairRates::settle_after_removals(ComponentId id) {
  Component& component = components_[id.index()];
  if (component.problem.flows_left() == 0 || worth_compacting(component.problem) || !in_one_piece(component)) return dissolve(id);
  component.changed = false;
  settled_.push_back(id);
}

ComponentId FairRates::open_component() {
  if (!free_components_.empty()) {
    const ComponentId id = free_components_.back();
    free_components_.pop_back();
    return id;
  }
  components_.emplace_back();
  return ComponentId{static_cast<std::int32_t>(components_.size()) - 1};
}

void FairRates::dissolve(ComponentId id) {
  Component& component = components_[id.index()];
  for (const FlowId flow : component.flows) {
    if (flow == no_flow) continue;
    flows_[flow.index()].component = flows_[flow.index()].place = none;
    loose_.push_back(flow);
  }
  component.flows.clear();
  component.links.clear();
  component.problem.clear();
  component.changed = false;
  ++component.version;
  free_components_.push_back(id);
}

/// Puts together the component of a flow that has none.
void FairRates::gather(FlowId first) {
  gathered_.clear();
  gathered_links_.clear();
  enter(first);
  for (std::size_t i = 0; i < gathered_.size(); ++i) {
    for (const Crossing& crossing : crossings(gathered_[i])) {
      Link& link = links_[crossing.link];
      if (link.local != none || !limits(link)) continue;
      link.local = static_cast<std::int32_t>(gathered_links_.size());
      gathered_links_.push_back(LinkId{crossing.link});
      if (joins(link)) gather_across(LinkId{crossing.link});
    }
  }
  const ComponentId id = open_component();
  for (std::size_t place = 0; place < gathered_.size(); ++place) {
    Flow& flow = flows_[gathered_[place].index()];
    flow.component = id.value;
    flow.place = static_cast<std::int32_t>(place);
  }
  pose(components_[id.index()]);
  settled_.push_back(id);
}

void FairRates::gather_across(LinkId id) {
  auto& listed = links_[id.index()].flows;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < listed.size(); ++i) {
    const Listed entry = listed[i];
    if (flows_[entry.flow.index()].serial != entry.serial) continue;
    listed[kept++] = entry;
    if (flows_[entry.flow.index()].component != none) dissolve(ComponentId{flows_[entry.flow.index()].component});
    if (flows_[entry.flow.index()].place == none) enter(entry.flow);
  }
  listed.resize(kept);
}

void FairRates::enter(FlowId flow) {
  flows_[flow.index()].place = 0;
  gathered_.push_back(flow);
}

/// Is there another link, no wider, that all gathered flows on this one cross as often? Then that is full first, whatever the rates: a NIC's
/// PCIe bus behind its port. Of two links that could stand for each other, the later one goes.
bool FairRates::stands_behind_another(LinkId id) const {
  const Link& link = links_[id.index()];
  for (const Crossing& other : crossings(link.flows.front().flow)) {
    const Link& candidate = links_[other.link];
    const bool narrower = candidate.capacity < link.capacity || (candidate.capacity == link.capacity && other.link < id.value);
    if (!narrower || candidate.local == none) continue;
    const auto crosses_both = [&](const Listed& entry) {
      std::int32_t here = 0, there = 0;
      for (const Crossing& crossing : crossings(entry.flow)) {
        if (crossing.link == id.value) here = crossing.weight;
        if (crossing.link == other.link) there = crossing.weight;
      }
      return there >= here;
    };
    if (std::all_of(link.flows.begin(), link.flows.end(), crosses_both)) return true;
  }
  return false;
}

/// From what was gathered. Links that limit nobody are left out.
void FairRates::pose(Component& component) {
  std::erase_if(gathered_links_, [this](LinkId id) {
    const Link& link = links_[id.index()];
    if (!joins(link) || !stands_behind_another(id)) return false;
    redundant_.push_back(id);
    return true;
  });
  for (const LinkId link : redundant_) links_[link.index()].local = none;
  redundant_.clear();
  for (std::size_t i = 0; i < gathered_links_.size(); ++i) links_[gathered_links_[i].index()].local = static_cast<std::int32_t>(i);
  component.flows = gathered_;
  component.links = gathered_links_;
  component.joining.clear();
  for (const LinkId link : gathered_links_) component.joining.push_back(joins(links_[link.index()]) ? 1 : 0);
  for (const LinkId link : gathered_links_) component.problem.add_link(links_[link.index()].capacity);
  for (const FlowId flow : gathered_) {
    local_crossings_.clear();
    for (const Crossing& crossing : crossings(flow)) {
      const std::int32_t local = links_[crossing.link].local;
      if (local != none) local_crossings_.push_back({local, crossing.weight});
    }
    component.problem.add_flow(local_crossings_);
  }
  component.problem.index_flows();
  component.held_together = false;
  component.solutions = 0;
  for (const LinkId link : gathered_links_) links_[link.index()].local = none;
}

void FairRates::solve(ComponentId id) {
  Component& component = components_[id.index()];
  solver_.solve(component.problem);
  ++component.solutions;
  ++component.version;
}

void FairRates::settle_around(ComponentId id, std::span<const std::int32_t> held, std::span<const Rate> rates) {
  solver_.solve_around(components_[id.index()].problem, held, rates);
}

/// A link has ceased to join its flows: is there one that no other link joins to anybody?
bool FairRates::leaves_a_flow_alone(const Component& component, std::int32_t link) const {
  const MaxMinProblem& problem = component.problem;
  for (const std::int32_t flow : problem.flows_on(link)) {
    if (problem.removed(flow)) continue;
    const auto crossings = problem.crossings(flow);
    if (std::none_of(crossings.begin(), crossings.end(), [&](const Crossing& c) { return component.joining[c.link] != 0; })) return true;
  }
  return false;
}

/// Do the links that join flows still join all that are left? They do while the flows that held the component together when it was last
/// walked through are still there.
bool FairRates::in_one_piece(Component& component) {
  if (component.problem.flows_left() == 1) return true;
  for (std::int32_t local = 0; local < static_cast<std::int32_t>(component.links.size()); ++local) {
    if (component.joining[local] == 0 || joins(links_[component.links[local].index()])) continue;
    component.joining[local] = 0;
    component.held_together = false;
    if (leaves_a_flow_alone(component, local)) return false;
  }
  return component.held_together || find_holding_flows(component);
}

/// Walks through the flows until those met hold all links together. False if they never do.
bool FairRates::find_holding_flows(Component& component) {
  const MaxMinProblem& problem = component.problem;
  auto pieces = std::count(component.joining.begin(), component.joining.end(), std::uint8_t{1});
  pieces_.reset(component.links.size());
  component.holds.assign(problem.flows(), 0);
  const std::size_t flows = problem.flows();
  const std::size_t step = std::gcd(stride, flows) == 1 ? stride % flows : 1;
  for (std::size_t i = 0, flow = 0; i < flows && pieces > 1; ++i, flow += flow + step < flows ? step : step - flows) {
    if (problem.removed(static_cast<std::int32_t>(flow))) continue;
    std::int32_t first = none;
    for (const Crossing& crossing : problem.crossings(static_cast<std::int32_t>(flow))) {
      if (component.joining[crossing.link] == 0) continue;
      if (first == none) {
        first = crossing.link;
      } else if (pieces_.join(first, crossing.link)) {
        component.holds[flow] = 1;
        --pieces;
      }
    }
  }
  component.held_together = pieces == 1;
  return component.held_together;
}

}  // namespace fabricast::sim
