// Max-min fair rates of flows over shared links. Pure: knows no time, no bytes and no topology, only which flow crosses which links.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/rate.hpp"

namespace fabricast::sim {

/// A flow crosses a link. `weight` flows that are alike and are taken as one cross it side by side, each at the rate of the flow.
struct Crossing {
  std::int32_t link, weight;
};

/// Flows and links, numbered from 0 as they are added, and the last solution. Flows can be taken out again; the rest keep their numbers.
class MaxMinProblem {
 public:
  void clear();
  std::int32_t add_link(Rate capacity);
  /// Each link at most once, weights positive.
  void add_flow(std::span<const Crossing> crossings);
  /// After the last flow and before anything below.
  void index_flows();
  void remove(std::int32_t flow);

  [[nodiscard]] std::size_t flows() const { return first_.size() - 1; }         // removed ones included
  [[nodiscard]] std::size_t flows_left() const { return flows_left_; }
  [[nodiscard]] std::size_t links() const { return capacity_.size(); }
  [[nodiscard]] bool removed(std::int32_t flow) const { return removed_[flow] != 0; }
  [[nodiscard]] std::span<const Crossing> crossings(std::int32_t flow) const {
    return {crossings_.data() + first_[flow], crossings_.data() + first_[flow + 1]};
  }
  /// Removed ones included.
  [[nodiscard]] std::span<const std::int32_t> flows_on(std::int32_t link) const {
    return {flows_on_.data() + first_on_[link], flows_on_.data() + first_on_[link + 1]};
  }

  /// Of the last solution, by flow; unlimited_rate for flows that cross no link.
  [[nodiscard]] std::span<const Rate> rates() const { return rates_; }
  /// The flows whose rates the last solution set; those of all others are as they were.
  [[nodiscard]] std::span<const std::int32_t> solved_last() const { return std::span(frozen_order_).subspan(kept_); }

 private:
  friend class MaxMinSolver;
  /// What flows frozen up to and at a level leave of a link.
  struct Filling {
    std::int64_t level, left, frozen;
  };

  std::vector<std::int32_t> first_{0};                // by flow, one more than there are
  std::vector<Crossing> crossings_;
  std::vector<std::uint8_t> removed_;                 // by flow
  std::vector<std::int32_t> unlimited_;               // flows that cross no link
  std::size_t flows_left_ = 0;
  std::vector<Rate> capacity_;                        // by link
  std::vector<std::int32_t> weight_;                  // by link: of flows that are left
  std::vector<std::int32_t> first_on_;                // by link, one more than there are
  std::vector<std::int32_t> flows_on_;

  std::vector<Rate> rates_;                           // by flow
  std::vector<std::uint8_t> frozen_;                  // by flow; removed ones are
  std::vector<std::int32_t> frozen_order_;            // flows, by level
  std::size_t kept_ = 0;                              // of those, from the solution before
  std::vector<std::vector<Filling>> fillings_;        // by link, by level
  std::int64_t changed_from_ = 0;                     // least rate of a flow removed since; all levels below stand
};

/// Progressive filling: all rates rise together; where a link is full its flows stay, the others rise on. Hence no link carries more than
/// its capacity, and every flow has a full link on which no other flow is faster (to a part in 2^31, see the .cpp).
///
/// The result depends on the flows and links alone, to the bit: sums are of whole numbers, and the links that are full at one level are
/// filled together. So it does not depend on the order of flows or links, nor on whether w flows that are alike are given one by one or as
/// one of weight w.
///
/// Where flows were removed since the last solution, the filling is the same up to the least of their rates: a link that they crossed was
/// not full below it, and is less so without them. So it is taken up there, and slower flows are not looked at.
///
/// A link's fair share never falls while others freeze, so each link waits in a heap under a share that is a lower bound and is looked at
/// again when it surfaces: O(crossings + links·log links), and every flow is frozen once. The object is scratch memory, reused from call
/// to call; calls do not influence each other.
class MaxMinSolver {
 public:
  void solve(MaxMinProblem& problem);
  /// The flows held[i] keep rates[i], none of which is above the flow's rate of the last solution. Up to the least of them that one stands:
  /// no link of a held flow is full below it. It is where the next solve() takes up at the latest.
  void solve_around(MaxMinProblem& problem, std::span<const std::int32_t> held, std::span<const Rate> rates);

 private:
  struct LinkState {
    std::int64_t left = 0;       // not yet given to frozen flows
    std::int64_t rising = 0;     // flows not yet frozen
    std::int64_t freezing = 0;   // of those, frozen in this round
    [[nodiscard]] std::int64_t share() const { return left / rising; }
  };
  struct Waiting {
    std::int64_t share;
    std::int32_t link;
  };

  void thaw(MaxMinProblem& problem);
  void hold(MaxMinProblem& problem, std::span<const std::int32_t> held, std::span<const Rate> rates);
  void fill(MaxMinProblem& problem);
  void queue_links();
  void push(Waiting waiting);
  Waiting pop();
  [[nodiscard]] bool take_lowest();
  void freeze_lowest(MaxMinProblem& problem);

  std::vector<LinkState> links_;
  std::vector<Waiting> queue_;               // heap, least share first
  std::vector<std::int32_t> lowest_;         // links full at level_
  std::vector<std::int32_t> touched_;        // links with flows freezing
  std::int64_t level_ = 0;
};

}  // namespace fabricast::sim
