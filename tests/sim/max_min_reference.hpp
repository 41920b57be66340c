// Max-min fair rates the slow, obvious way: the twin that the solver is compared with.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::tests {

/// links_of[flow] names links; returns rates. While a flow rises: find the link with the least fair share of what its frozen flows leave,
/// and freeze its rising flows at that share. Every number is computed from scratch, every time.
inline std::vector<double> max_min_reference(const std::vector<std::vector<int>>& links_of, const std::vector<double>& capacity) {
  const std::size_t flows = links_of.size();
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> rates(flows, infinity);
  std::vector<bool> frozen(flows);
  for (std::size_t f = 0; f < flows; ++f) frozen[f] = links_of[f].empty();
  while (std::find(frozen.begin(), frozen.end(), false) != frozen.end()) {
    double least_share = infinity;
    std::size_t bottleneck = 0;
    for (std::size_t link = 0; link < capacity.size(); ++link) {
      double left = capacity[link];
      int rising = 0;
      for (std::size_t f = 0; f < flows; ++f) {
        if (std::find(links_of[f].begin(), links_of[f].end(), static_cast<int>(link)) == links_of[f].end()) continue;
        if (frozen[f]) left -= rates[f];
        else ++rising;
      }
      if (rising > 0 && left / rising < least_share) {
        least_share = left / rising;
        bottleneck = link;
      }
    }
    for (std::size_t f = 0; f < flows; ++f) {
      const bool crosses = std::find(links_of[f].begin(), links_of[f].end(), static_cast<int>(bottleneck)) != links_of[f].end();
      if (frozen[f] || !crosses) continue;
      rates[f] = least_share;
      frozen[f] = true;
    }
  }
  return rates;
}

}  // namespace fabricast::tests
