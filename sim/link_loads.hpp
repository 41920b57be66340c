// What every link carries and when that changed, for those who want to see it. Knows no flows, only their rates.
#pragma once

#include <span>
#include <vector>

#include "sim/link_rate.hpp"
#include "sim/max_min.hpp"
#include "sim/rate.hpp"

namespace fabricast::sim {

class LinkLoads {
 public:
  /// A flow on these links changes its rate.
  void change(std::span<const Crossing> crossings, Rate from, Rate to) {
    for (const Crossing& crossing : crossings) {
      const auto link = static_cast<std::size_t>(crossing.link);
      if (loads_.size() <= link) loads_.resize(link + 1);
      Load& load = loads_[link];
      load.rate += (to - from) * crossing.weight;
      if (!load.changed) changed_.push_back(LinkId{crossing.link});
      load.changed = true;
    }
  }

  /// Appends the loads that differ from those appended last.
  void record(SimTime now, std::vector<LinkRate>& rates) {
    for (const LinkId link : changed_) {
      Load& load = loads_[link.index()];
      load.changed = false;
      if (load.rate == load.recorded) continue;
      load.recorded = load.rate;
      rates.push_back({now, link, to_bytes_per_second(load.rate)});
    }
    changed_.clear();
  }

 private:
  struct Load {
    Rate rate, recorded;
    bool changed = false;
  };
  std::vector<Load> loads_;        // by LinkId
  std::vector<LinkId> changed_;
};

}  // namespace fabricast::sim
