// Plays lowered collectives on symbolic data: which member holds whose contributions to which unit. Knows what a gathering and a reducing
// phase do to data, but not how lowering counts: it counts what it moved along the phase's transfers, and the phase must have claimed that.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "hardware_models/collectives.hpp"

namespace fabricast::tests {

class Replay {
 public:
  using Contributions = std::uint64_t;  // a set of members, one bit each

  Replay(std::size_t members, std::vector<Bytes> unit_sizes)
      : sizes_(std::move(unit_sizes)), held_(members, std::vector<Contributions>(sizes_.size())) {}

  Contributions& held(std::size_t member, std::size_t unit) { return held_[member][unit]; }

  /// Units spread from the members where starts(member, unit), each passing on what it got in the step before.
  template <class Starts>
  void gather(const hw::Phase& phase, Starts starts) {
    for (const auto& step : spread(edges_of(phase), starts)) {
      for (const Move& move : step) {
        held_[move.to][move.unit] = held_[move.from][move.unit];
        count(move.from, move.to, move.unit);
      }
      ++steps_;
    }
  }

  /// A gather from the owners backwards, in time and direction, adding where the gather copies.
  template <class Owns>
  void reduce(const hw::Phase& phase, Owns owns) {
    std::vector<Edge> reversed;
    for (const Edge& edge : edges_of(phase)) reversed.push_back({edge.second, edge.first});
    auto steps = spread(reversed, owns);
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      const auto before = held_;
      for (const Move& move : *step) {
        CHECK_MESSAGE((held_[move.from][move.unit] & before[move.to][move.unit]) == 0, "a contribution is added twice");
        held_[move.from][move.unit] |= before[move.to][move.unit];
        count(move.to, move.from, move.unit);
      }
      ++steps_;
    }
  }

  /// The phase must have claimed exactly the bytes and steps played since the last call.
  void expect_claimed(const hw::Phase& phase) {
    std::map<Edge, std::int64_t> claimed;
    for (const hw::Transfer& transfer : phase.transfers) claimed[{transfer.source, transfer.destination}] += transfer.bytes.value();
    CHECK(claimed == moved_);
    CHECK(phase.steps == steps_);
    moved_.clear();
    steps_ = 0;
  }

 private:
  using Edge = std::pair<std::int32_t, std::int32_t>;
  struct Move {
    std::int32_t from, to;
    std::size_t unit;
  };

  static std::vector<Edge> edges_of(const hw::Phase& phase) {
    std::vector<Edge> edges;
    for (const hw::Transfer& transfer : phase.transfers) edges.push_back({transfer.source, transfer.destination});
    return edges;
  }

  template <class Starts>
  std::vector<std::vector<Move>> spread(const std::vector<Edge>& edges, Starts starts) const {
    std::vector<std::vector<int>> arrival(held_.size(), std::vector<int>(sizes_.size(), -1));  // step after which a unit is there
    for (std::size_t member = 0; member < held_.size(); ++member) {
      for (std::size_t unit = 0; unit < sizes_.size(); ++unit) arrival[member][unit] = starts(member, unit) ? 0 : -1;
    }
    std::vector<std::vector<Move>> steps;
    for (int step = 1;; ++step) {
      std::vector<Move> moves;
      for (const auto& [from, to] : edges) {
        for (std::size_t unit = 0; unit < sizes_.size(); ++unit) {
          if (arrival[from][unit] != step - 1 || arrival[to][unit] >= 0) continue;
          arrival[to][unit] = step;
          moves.push_back({from, to, unit});
        }
      }
      if (moves.empty()) return steps;
      steps.push_back(std::move(moves));
    }
  }

  void count(std::int32_t from, std::int32_t to, std::size_t unit) { moved_[{from, to}] += sizes_[unit].value(); }

  std::vector<Bytes> sizes_;
  std::vector<std::vector<Contributions>> held_;  // [member][unit]
  std::map<Edge, std::int64_t> moved_;
  std::int32_t steps_ = 0;
};

}  // namespace fabricast::tests
