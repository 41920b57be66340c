// What both simulators are asked: transfers between the GPUs of one cluster, and when each of them ends.
#pragma once

#include <cstdint>
#include <vector>

#include "hardware_models/topology.hpp"
#include "hardware_models/units.hpp"

namespace fabricast::benchmarks {

struct Transfer {
  GpuId from, to;
  Bytes bytes;
};

/// Of one GPU's transfers, how many may be under way: one after another, or all from the start.
enum class Outstanding : std::uint8_t { one, all };

/// Those of one sender stand together, in the order in which it sends them.
struct Workload {
  std::vector<Transfer> transfers;
  Outstanding outstanding;
};

/// Seconds from the start, by transfer. Without latency, link efficiency or cross traffic: the fair shares of the links alone.
using Ends = std::vector<double>;

Ends ends_in_fabricast(const hw::Topology& topology, const Workload& workload, bool exact);
Ends ends_in_simgrid(const hw::Topology& topology, const Workload& workload);

}  // namespace fabricast::benchmarks
