#include "sim/fair_rates.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace fabricast::sim {
namespace {

// Rates and loads this close are taken as equal: far above rounding (see max_min.cpp), far below what a simulated time could show.
constexpr double rounding = 1e-9;

// So many repetitions with flows picked one by one; after that whole links are loosened, which ends within the diameter of the network.
constexpr int careful_repetitions = 4;

// A list this short is not worth clearing.
constexpr std::size_t short_list = 16;

}  // namespace

FairRates::FairRates(std::vector<BytesPerSecond> capacity) {
  links_.reserve(capacity.size());
  for (const BytesPerSecond c : capacity) links_.push_back({.capacity = c.value(), .crossings = {}});
}

PathId FairRates::add_path(std::span<const LinkId> links) {
  path_links_.insert(path_links_.end(), links.begin(), links.end());
  path_first_.push_back(path_links_.size());
  return PathId{static_cast<std::int32_t>(path_first_.size()) - 2};
}

std::span<const LinkId> FairRates::links_of(const Flow& flow) const {
  const std::size_t first = path_first_[flow.path.index()];
  return {path_links_.data() + first, path_first_[flow.path.index() + 1] - first};
}

FlowId FairRates::add(PathId path) {
  const FlowId id = take_id();
  Flow& flow = flows_[id.index()];
  flow.path = path;
  flow.serial = ++serials_;
  flow.loose = true;
  for (const LinkId link : links_of(flow)) {
    list_crossing(link, id);
    mark_changed(link);
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
  assert(!flow.loose && "a flow is settled before it is removed");
  if (flow.bottleneck != none) --links_[flow.bottleneck].certified;
  for (const LinkId link : links_of(flow)) {
    --links_[link.index()].flows;
    unload(link, flow.rate);
  }
  flow.serial = ++serials_;
  flow.rate = 0.0;
  flow.bottleneck = none;
  free_.push_back(id);
}

void FairRates::list_crossing(LinkId id, FlowId flow) {
  Link& link = links_[id.index()];
  if (link.crossings.size() > short_list + 2 * static_cast<std::size_t>(link.flows)) {
    if (link.flows == 0) link.crossings.clear();
    else std::erase_if(link.crossings, [this](const Crossing& crossing) { return !current(crossing); });
  }
  link.crossings.push_back({flow, flows_[flow.index()].serial});
  ++link.flows;
}

void FairRates::mark_changed(LinkId link) {
  if (links_[link.index()].changed == settlement_) return;
  links_[link.index()].changed = settlement_;
  changed_links_.push_back(link);
}

std::span<const FairRates::Solved> FairRates::settle() {
  loosen_where_changed();
  repeat_until_none_is_wronged();
  number_components();
  fix();
  settled_links_.swap(changed_links_);
  changed_links_.clear();
  ++settlement_;
  return solved_;
}

void FairRates::loosen(FlowId id) {
  Flow& flow = flows_[id.index()];
  flow.loose = true;
  --links_[flow.bottleneck].certified;
  for (const LinkId link : links_of(flow)) unload(link, flow.rate);
  loose_.push_back(id);
}

/// Without flows the load is 0 to the bit: rounding does not add up over a simulation.
void FairRates::unload(LinkId id, double rate) {
  Link& link = links_[id.index()];
  link.load = --link.fixed == 0 ? 0.0 : link.load - rate;
  mark_changed(id);
}

template <class Predicate>
void FairRates::loosen_on(std::int32_t link, Predicate predicate) {
  for (const Crossing& crossing : links_[link].crossings) {
    const Flow& flow = flows_[crossing.flow.index()];
    if (current(crossing) && !flow.loose && predicate(flow)) loosen(crossing.flow);
  }
}

void FairRates::loosen_certified(std::int32_t link) {
  if (links_[link].certified > 0) loosen_on(link, [link](const Flow& flow) { return flow.bottleneck == link; });
}

/// Where a flow left, those that were held back there may rise; where one joins, they have to share.
void FairRates::loosen_where_changed() {
  const std::size_t changed = changed_links_.size();  // loosening adds links on which nothing has changed yet
  for (std::size_t i = 0; i < changed; ++i) loosen_certified(changed_links_[i].value);
}

void FairRates::repeat_until_none_is_wronged() {
  for (int repetition = 0;; ++repetition) {
    pose_problem();
    solver_.solve({problem_first_, problem_links_, problem_capacity_}, rates_, bottlenecks_);
    const std::size_t before = loose_.size();
    for (std::int32_t local = 0; local < static_cast<std::int32_t>(local_links_.size()); ++local) {
      links_[local_links_[local]].local = none;
      if (links_[local_links_[local]].fixed == 0) continue;
      if (repetition < careful_repetitions) loosen_wronged(local);
      else loosen_on(local_links_[local], [](const Flow&) { return true; });
    }
    if (loose_.size() == before) return;
  }
}

/// Numbers the links of the loose flows from 0 in the order in which they name them; capacities are what the other flows leave.
void FairRates::pose_problem() {
  problem_first_.assign(1, 0);
  problem_links_.clear();
  problem_capacity_.clear();
  local_links_.clear();
  for (const FlowId flow : loose_) {
    for (const LinkId link : links_of(flows_[flow.index()])) {
      Link& crossed = links_[link.index()];
      if (crossed.local == none) {
        crossed.local = static_cast<std::int32_t>(local_links_.size());
        local_links_.push_back(link.value);
        problem_capacity_.emplace_back(std::max(0.0, crossed.capacity - crossed.load));
      }
      problem_links_.push_back(crossed.local);
    }
    problem_first_.push_back(static_cast<std::int32_t>(problem_links_.size()));
  }
  rates_.resize(loose_.size());
  bottlenecks_.resize(loose_.size());
}

bool FairRates::full(std::int32_t local) const {
  return solver_.left_on(local).value() <= links_[local_links_[local]].capacity * rounding;
}

FairRates::Use FairRates::use_of(std::int32_t local) const {
  Use use;
  for (const std::int32_t flow : solver_.flows_on(local)) {
    use.fastest = std::max(use.fastest, rates_[flow].value());
    if (bottlenecks_[flow] == local) use.level = rates_[flow].value();
  }
  return use;
}

/// Of the flows that were not solved: those whose bottleneck is none any more, and those that are faster than a loose flow which is held
/// back by this link.
void FairRates::loosen_wronged(std::int32_t local) {
  const std::int32_t link = local_links_[local];
  if (!full(local)) return loosen_certified(link);
  const Use use = use_of(local);
  const double most = use.level < 0.0 ? std::numeric_limits<double>::infinity() : use.level * (1.0 + rounding);
  const double least = use.fastest * (1.0 - rounding);
  loosen_on(link, [=](const Flow& flow) { return flow.rate > most || (flow.bottleneck == link && flow.rate < least); });
}

/// The solution becomes the flows' rates.
void FairRates::fix() {
  for (std::size_t i = 0; i < loose_.size(); ++i) {
    Flow& flow = flows_[loose_[i].index()];
    flow.loose = false;
    flow.rate = rates_[i].value();
    flow.bottleneck = bottlenecks_[i] == MaxMinSolver::no_link ? none : local_links_[bottlenecks_[i]];
    if (flow.bottleneck != none) ++links_[flow.bottleneck].certified;
  }
  for (std::size_t local = 0; local < local_links_.size(); ++local) {
    const auto left = solver_.left_on(static_cast<std::int32_t>(local));
    Link& link = links_[local_links_[local]];
    link.load += (problem_capacity_[local] - left).value();
    link.fixed = link.flows;
  }
  loose_.clear();
}

void FairRates::number_components() {
  join_full_links();
  component_of_.assign(local_links_.size(), none);
  solved_.clear();
  std::int32_t components = 0;
  for (std::size_t i = 0; i < loose_.size(); ++i) {
    std::int32_t component = none;
    if (bottlenecks_[i] == MaxMinSolver::no_link) {
      component = components++;
    } else {
      std::int32_t& known = component_of_[full_sets_.find(bottlenecks_[i])];
      if (known == none) known = components++;
      component = known;
    }
    solved_.push_back({loose_[i], component});
  }
}

void FairRates::join_full_links() {
  full_sets_.reset(local_links_.size());
  std::size_t apart = 0;
  for (std::int32_t local = 0; local < static_cast<std::int32_t>(local_links_.size()); ++local) apart += full(local) ? 1 : 0;
  for (std::size_t i = 0; i < loose_.size() && apart > 1; ++i) {
    if (bottlenecks_[i] == MaxMinSolver::no_link) continue;
    for (std::int32_t crossing = problem_first_[i]; crossing < problem_first_[i + 1]; ++crossing) {
      const std::int32_t local = problem_links_[crossing];
      if (full(local) && full_sets_.join(bottlenecks_[i], local)) --apart;
    }
  }
}

}  // namespace fabricast::sim
