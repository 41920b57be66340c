#include "sim/max_min.hpp"

#include <algorithm>
#include <limits>

namespace fabricast::sim {
namespace {

// Shares this close are one level, so that flows which are alike get the same bits and end together. What is left of a link after k flows
// were frozen is off by up to k·1e-16 of its capacity, hence a share of 1/k by k²·1e-16: 1e-10 for a thousand flows.
constexpr double rounding = 1e-10;

constexpr BytesPerSecond unbounded{std::numeric_limits<double>::infinity()};

constexpr auto higher = [](const auto& a, const auto& b) { return a.share != b.share ? a.share > b.share : a.link > b.link; };

}  // namespace

void MaxMinSolver::solve(const MaxMinProblem& problem, std::span<BytesPerSecond> rates, std::span<std::int32_t> bottlenecks) {
  rates_ = rates;
  bottlenecks_ = bottlenecks;
  std::fill(rates.begin(), rates.end(), unbounded);
  std::fill(bottlenecks.begin(), bottlenecks.end(), no_link);
  list_flows_by_link(problem);
  queue_links();
  double level = 0.0;
  while (!queue_.empty()) {
    const Bottleneck lowest = pop();
    const LinkState& link = links_[lowest.link];
    if (link.rising == 0) continue;
    const double share = link.share();
    if (share > lowest.share * (1.0 + rounding)) {
      push({share, lowest.link});
      continue;
    }
    if (share > level * (1.0 + rounding)) level = share;
    freeze_flows_of(lowest.link, level, problem);
  }
}

void MaxMinSolver::list_flows_by_link(const MaxMinProblem& problem) {
  const std::size_t links = problem.capacity.size();
  links_.resize(links + 1);
  for (std::size_t link = 0; link < links; ++link) links_[link] = {problem.capacity[link].value(), 0, 0};
  for (const std::int32_t link : problem.links) ++links_[link].rising;
  cursor_.resize(links);
  std::int32_t first = 0;
  for (std::size_t link = 0; link < links; ++link) {
    links_[link].first_flow = cursor_[link] = first;
    first += links_[link].rising;
  }
  links_[links].first_flow = first;
  flows_.resize(problem.links.size());
  for (std::size_t flow = 0; flow + 1 < problem.first.size(); ++flow) {
    for (std::int32_t i = problem.first[flow]; i < problem.first[flow + 1]; ++i) {
      flows_[cursor_[problem.links[i]]++] = static_cast<std::int32_t>(flow);
    }
  }
}

void MaxMinSolver::queue_links() {
  queue_.clear();
  for (std::size_t link = 0; link + 1 < links_.size(); ++link) {
    if (links_[link].rising > 0) push({links_[link].share(), static_cast<std::int32_t>(link)});
  }
}

void MaxMinSolver::push(Bottleneck bottleneck) {
  queue_.push_back(bottleneck);
  std::push_heap(queue_.begin(), queue_.end(), higher);
}

MaxMinSolver::Bottleneck MaxMinSolver::pop() {
  std::pop_heap(queue_.begin(), queue_.end(), higher);
  const Bottleneck lowest = queue_.back();
  queue_.pop_back();
  return lowest;
}

void MaxMinSolver::freeze_flows_of(std::int32_t link, double rate, const MaxMinProblem& problem) {
  for (std::int32_t i = links_[link].first_flow; i < links_[link + 1].first_flow; ++i) {
    const std::int32_t flow = flows_[i];
    if (bottlenecks_[flow] != no_link) continue;
    bottlenecks_[flow] = link;
    rates_[flow] = BytesPerSecond(rate);
    for (std::int32_t crossing = problem.first[flow]; crossing < problem.first[flow + 1]; ++crossing) {
      LinkState& crossed = links_[problem.links[crossing]];
      crossed.left -= rate;
      --crossed.rising;
    }
  }
}

}  // namespace fabricast::sim
