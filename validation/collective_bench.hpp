// One collective alone on a cluster, as nccl-tests would time it. Knows no experiment and no command line.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/collective_model.hpp"
#include "hardware_models/topology.hpp"
#include "sim/simulate.hpp"

namespace fabricast::validation {

struct CollectiveBench {
  hw::CollectiveKind kind = hw::CollectiveKind::all_reduce;
  hw::CollectiveAlgorithm algorithm = hw::CollectiveAlgorithm::automatic;
  std::vector<GpuId> group;         // two members or more, all different; send goes from the first to the second
  double skew = 0.0;                // all-to-all: the i-th expert gets a share of every send buffer that falls as (i + 1)^-skew
  // All-to-all of tokens: size is tokens · top_k · row. experts are dealt to the members in equal runs; 0: one each. row 0: a byte.
  // A size that is no whole number of tokens is cut to one, below one token it is one.
  std::int64_t top_k = 1, experts = 0;
  Bytes row{};
  bool combine = false;
  double reach = 1.0;               // share of the experts that one token may choose from: hw::TokenRouting
  sim::Fidelity fidelity = sim::Fidelity::flow;
};

/// One size: what ran, and how long it took from the first member's start to the last one's end.
struct CollectiveTiming {
  Bytes size{};                     // S of hardware_models/collectives.hpp: what was asked for, cut to equal shards
  hw::CollectiveChoice choice{hw::CollectiveAlgorithm::automatic};
  hw::KernelFootprint footprint{};
  Seconds time{}, floor{};
  BytesPerSecond algorithm_bandwidth{}, bus_bandwidth{};  // as nccl-tests defines them
  double ratio_to_floor = 1.0;
};

/// Through the simulator, on an otherwise idle cluster. Throws std::invalid_argument where the algorithm does not run the kind on this group.
[[nodiscard]] CollectiveTiming time_collective(const hw::ClusterSpec& cluster, const CollectiveBench& bench, Bytes size);
/// The same for many on one cluster: its topology, and what its hardware and library cost.
[[nodiscard]] CollectiveTiming time_collective(const hw::Topology& topology, const sim::CostModel& cost, const CollectiveBench& bench,
                                               Bytes size);

/// A table for people, in the columns of nccl-tests.
[[nodiscard]] std::string collective_table(std::span<const CollectiveTiming> timings);

/// "schema": "fabricast.collective_bench/1".
[[nodiscard]] std::string to_json(const hw::ClusterSpec& cluster, const CollectiveBench& bench, std::span<const CollectiveTiming> timings);

}  // namespace fabricast::validation
