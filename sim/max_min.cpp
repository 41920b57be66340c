#include "sim/max_min.hpp"

#include <algorithm>

namespace fabricast::sim {
namespace {

// Shares this close are one level, so that flows which are alike in all but rounding end together. k flows frozen at a share rounded down
// leave less than k units too much to those that rise on: for a thousand flows on a link of 50 GB/s, less than a part in 2^31.
constexpr std::int64_t highest_of_level(std::int64_t share) { return share + (share >> 31); }

// A link's flows lie scattered over the others' crossings: asked for so many flows early, they arrive in time.
constexpr std::size_t look_ahead = 8;
inline void prefetch(const void* address) { __builtin_prefetch(address); }

constexpr auto higher = [](const auto& a, const auto& b) { return a.share > b.share; };

}  // namespace

void MaxMinProblem::clear() {
  first_.assign(1, 0);
  crossings_.clear();
  removed_.clear();
  unlimited_.clear();
  flows_left_ = 0;
  capacity_.clear();
  weight_.clear();
  rates_.clear();
  frozen_.clear();
  frozen_order_.clear();
  kept_ = 0;
  changed_from_ = 0;
}

std::int32_t MaxMinProblem::add_link(Rate capacity) {
  capacity_.push_back(capacity);
  weight_.push_back(0);
  return static_cast<std::int32_t>(capacity_.size()) - 1;
}

void MaxMinProblem::add_flow(std::span<const Crossing> crossings) {
  if (crossings.empty()) unlimited_.push_back(static_cast<std::int32_t>(flows()));
  crossings_.insert(crossings_.end(), crossings.begin(), crossings.end());
  first_.push_back(static_cast<std::int32_t>(crossings_.size()));
  removed_.push_back(0);
  ++flows_left_;
}

void MaxMinProblem::index_flows() {
  first_on_.assign(capacity_.size() + 1, 0);
  for (const Crossing& crossing : crossings_) {
    ++first_on_[crossing.link + 1];
    weight_[crossing.link] += crossing.weight;
  }
  for (std::size_t link = 0; link < capacity_.size(); ++link) first_on_[link + 1] += first_on_[link];
  flows_on_.resize(crossings_.size());
  for (std::size_t flow = flows(); flow-- > 0;) {   // from the back, so that each list ascends
    for (const Crossing& crossing : crossings(static_cast<std::int32_t>(flow))) {
      flows_on_[--first_on_[crossing.link + 1]] = static_cast<std::int32_t>(flow);
    }
  }
  rates_.assign(flows(), Rate(0));
  frozen_ = removed_;
  if (fillings_.size() < capacity_.size()) fillings_.resize(capacity_.size());
  for (auto& fillings : fillings_) fillings.clear();
  first_on_.erase(first_on_.begin());
  first_on_.push_back(static_cast<std::int32_t>(crossings_.size()));
}

void MaxMinProblem::remove(std::int32_t flow) {
  removed_[flow] = frozen_[flow] = 1;
  --flows_left_;
  for (const Crossing& crossing : crossings(flow)) weight_[crossing.link] -= crossing.weight;
  changed_from_ = std::min(changed_from_, rates_[flow].value());
}

void MaxMinSolver::solve(MaxMinProblem& problem) {
  thaw(problem);
  fill(problem);
  problem.changed_from_ = unlimited_rate.value();
}

void MaxMinSolver::solve_around(MaxMinProblem& problem, std::span<const std::int32_t> held, std::span<const Rate> rates) {
  for (const Rate rate : rates) problem.changed_from_ = std::min(problem.changed_from_, rate.value());
  const std::int64_t from = problem.changed_from_;
  thaw(problem);
  hold(problem, held, rates);
  fill(problem);
  problem.changed_from_ = from;
}

/// Back to where the filling had come before the first level that a removal changes.
void MaxMinSolver::thaw(MaxMinProblem& problem) {
  const std::int64_t from = problem.changed_from_;
  auto& order = problem.frozen_order_;
  while (!order.empty() && (from == 0 || problem.rates_[order.back()].value() >= from)) {
    problem.frozen_[order.back()] = problem.removed_[order.back()];
    order.pop_back();
  }
  problem.kept_ = order.size();
  links_.resize(problem.links());
  for (std::size_t link = 0; link < links_.size(); ++link) {
    auto& fillings = problem.fillings_[link];
    while (!fillings.empty() && fillings.back().level >= from) fillings.pop_back();
    if (fillings.empty()) links_[link] = {problem.capacity_[link].value(), problem.weight_[link], 0};
    else links_[link] = {fillings.back().left, problem.weight_[link] - fillings.back().frozen, 0};
  }
}

void MaxMinSolver::hold(MaxMinProblem& problem, std::span<const std::int32_t> held, std::span<const Rate> rates) {
  for (std::size_t i = 0; i < held.size(); ++i) {
    problem.rates_[held[i]] = rates[i];
    problem.frozen_[held[i]] = 1;
    problem.frozen_order_.push_back(held[i]);
    for (const Crossing& crossing : problem.crossings(held[i])) {
      links_[crossing.link].left -= rates[i].value() * crossing.weight;
      links_[crossing.link].rising -= crossing.weight;
    }
  }
}

void MaxMinSolver::fill(MaxMinProblem& problem) {
  queue_links();
  while (take_lowest()) freeze_lowest(problem);
  for (const std::int32_t flow : problem.unlimited_) {
    if (problem.frozen_[flow] != 0) continue;
    problem.frozen_[flow] = 1;
    problem.rates_[flow] = unlimited_rate;
    problem.frozen_order_.push_back(flow);
  }
}

void MaxMinSolver::queue_links() {
  queue_.clear();
  for (std::size_t link = 0; link < links_.size(); ++link) {
    if (links_[link].rising > 0) queue_.push_back({links_[link].share(), static_cast<std::int32_t>(link)});
  }
  std::make_heap(queue_.begin(), queue_.end(), higher);
}

void MaxMinSolver::push(Waiting waiting) {
  queue_.push_back(waiting);
  std::push_heap(queue_.begin(), queue_.end(), higher);
}

MaxMinSolver::Waiting MaxMinSolver::pop() {
  std::pop_heap(queue_.begin(), queue_.end(), higher);
  const Waiting lowest = queue_.back();
  queue_.pop_back();
  return lowest;
}

/// All links whose share is the least, to rounding. False where no flow is left to freeze.
bool MaxMinSolver::take_lowest() {
  lowest_.clear();
  while (!queue_.empty() && (lowest_.empty() || queue_.front().share <= highest_of_level(level_))) {
    const Waiting next = pop();
    const LinkState& link = links_[next.link];
    if (link.rising == 0) continue;
    const std::int64_t share = link.share();
    if (share > next.share) {
      push({share, next.link});
      continue;
    }
    if (lowest_.empty()) level_ = share;
    lowest_.push_back(next.link);
  }
  return !lowest_.empty();
}

void MaxMinSolver::freeze_lowest(MaxMinProblem& problem) {
  touched_.clear();
  for (const std::int32_t link : lowest_) {
    const auto flows = problem.flows_on(link);
    for (std::size_t i = 0; i < flows.size(); ++i) {
      if (i + look_ahead < flows.size()) prefetch(&problem.crossings_[problem.first_[flows[i + look_ahead]]]);
      const std::int32_t flow = flows[i];
      if (problem.frozen_[flow] != 0) continue;
      problem.frozen_[flow] = 1;
      problem.frozen_order_.push_back(flow);
      problem.rates_[flow] = Rate(level_);
      for (const Crossing& crossing : problem.crossings(flow)) {
        LinkState& crossed = links_[crossing.link];
        if (crossed.freezing == 0) touched_.push_back(crossing.link);
        crossed.freezing += crossing.weight;
      }
    }
  }
  for (const std::int32_t touched : touched_) {
    LinkState& link = links_[touched];
    link.left -= link.freezing * level_;
    link.rising -= link.freezing;
    link.freezing = 0;
    problem.fillings_[touched].push_back({level_, link.left, problem.weight_[touched] - link.rising});
  }
}

}  // namespace fabricast::sim
