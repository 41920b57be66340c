// Max-min fair rates of flows over shared links. Pure: knows no time, no bytes and no topology, only which flow crosses which links.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::sim {

/// Flow f crosses links[first[f]] … links[first[f + 1] - 1], each an index into capacity and named once. Capacities may be 0.
struct MaxMinProblem {
  std::span<const std::int32_t> first;   // one more than there are flows
  std::span<const std::int32_t> links;
  std::span<const BytesPerSecond> capacity;
};

/// Progressive filling: all rates rise together; where a link is full its flows stay, the others rise on. Hence no link carries more than
/// its capacity, and every flow has a full link on which no other flow is faster. Flows that cross no link get an infinite rate.
///
/// A link's fair share never falls while others freeze, so each link waits in a heap under a share that is a lower bound and is looked at
/// again when it surfaces: O(crossings + links·log links), and every flow is frozen once. The object is scratch memory, reused from call
/// to call; calls do not influence each other.
class MaxMinSolver {
 public:
  /// rates[f] for every flow, and bottlenecks[f], a full link on which none is faster; no_link for flows that cross none.
  void solve(const MaxMinProblem& problem, std::span<BytesPerSecond> rates, std::span<std::int32_t> bottlenecks);
  static constexpr std::int32_t no_link = -1;

  /// Of the last solution.
  [[nodiscard]] std::span<const std::int32_t> flows_on(std::int32_t link) const {
    return {flows_.data() + links_[link].first_flow, flows_.data() + links_[link + 1].first_flow};
  }
  [[nodiscard]] BytesPerSecond left_on(std::int32_t link) const { return BytesPerSecond(links_[link].left); }

 private:
  struct LinkState {
    double left;              // bytes/s not yet given to frozen flows
    std::int32_t rising;      // flows not yet frozen
    std::int32_t first_flow;  // into flows_
    [[nodiscard]] double share() const { return left / rising; }
  };
  struct Bottleneck {
    double share;
    std::int32_t link;
  };

  void list_flows_by_link(const MaxMinProblem& problem);
  void queue_links();
  void push(Bottleneck bottleneck);
  Bottleneck pop();
  void freeze_flows_of(std::int32_t link, double rate, const MaxMinProblem& problem);

  std::vector<LinkState> links_;      // one more than there are links, so that each list has an end
  std::vector<std::int32_t> flows_;   // by link
  std::vector<std::int32_t> cursor_;  // by link, while flows_ is filled
  std::vector<Bottleneck> queue_;     // heap, least share first
  std::span<BytesPerSecond> rates_;   // of the caller
  std::span<std::int32_t> bottlenecks_;
};

}  // namespace fabricast::sim
