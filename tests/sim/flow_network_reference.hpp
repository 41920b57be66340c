// A flow network the slow, obvious way: all rates solved anew at every start and end, times in floating point. The twin of the exact mode.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "tests/sim/max_min_reference.hpp"

namespace fabricast::tests {

struct ReferenceFlow {
  double start;                // seconds
  double bytes;
  std::vector<int> links;
};

/// Ends by flow, in seconds.
inline std::vector<double> flow_ends_reference(const std::vector<ReferenceFlow>& flows, const std::vector<double>& capacity) {
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> remaining, ends(flows.size(), infinity);
  for (const ReferenceFlow& flow : flows) remaining.push_back(flow.bytes);
  for (double now = 0.0;;) {
    std::vector<std::size_t> active;
    std::vector<std::vector<int>> links_of;
    double next = infinity;
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (flows[f].start > now) next = std::min(next, flows[f].start);
      if (flows[f].start > now || ends[f] < infinity) continue;
      active.push_back(f);
      links_of.push_back(flows[f].links);
    }
    const std::vector<double> rates = max_min_reference(links_of, capacity);
    for (std::size_t i = 0; i < active.size(); ++i) next = std::min(next, now + remaining[active[i]] / rates[i]);
    if (next == infinity) return ends;
    for (std::size_t i = 0; i < active.size(); ++i) {
      const std::size_t f = active[i];
      const double end = now + remaining[f] / rates[i];
      if (end <= next * (1 + 1e-14)) ends[f] = end;
      else remaining[f] -= rates[i] * (next - now);
    }
    now = next;
  }
}

}  // namespace fabricast::tests
