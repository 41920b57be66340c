#include "validation/measured_group.hpp"

#include <algorithm>

namespace fabricast::validation {

std::vector<GpuId> first_gpus(std::int64_t nodes, std::int64_t in_node, const hw::Topology& topology) {
  std::vector<GpuId> gpus;
  for (std::int64_t node = 0; node < nodes; ++node) {
    for (std::int64_t slot = 0; slot < in_node; ++slot) gpus.push_back(GpuId{static_cast<std::int32_t>(node * topology.gpus_per_node() + slot)});
  }
  return gpus;
}

std::vector<GpuId> group_of(const CollectiveMeasurement& row, const hw::Topology& topology) {
  if (row.kind != hw::CollectiveKind::send) return first_gpus(row.nodes, row.gpus_per_node, topology);
  return first_gpus(std::min<std::int64_t>(row.nodes, 2), row.nodes > 1 ? 1 : 2, topology);
}

CollectiveBench bench_of(const CollectiveMeasurement& row, const hw::Topology& topology) {
  CollectiveBench bench;
  bench.kind = row.kind;
  bench.algorithm = row.algorithm;
  bench.group = group_of(row, topology);
  return bench;
}

}  // namespace fabricast::validation
