// An op of one rank with everything filled in: addresses, row counts, tables from the routing plan. What compute backends and transports
// run. Knows no time and no threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/transport.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/memory_plan.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::runtime {

/// Consecutive rows of a buffer.
struct View {
  std::byte* data = nullptr;
  std::int64_t rows = 0, row_bytes = 0;

  [[nodiscard]] std::span<std::byte> bytes() const { return {data, static_cast<std::size_t>(rows * row_bytes)}; }
};

struct BoundOp {
  const ir::Op* op = nullptr;
  Rank rank;
  ir::OpIndex index;
  std::vector<View> reads, writes;

  bool writes_logits = false;
  bool weight_is_table = false;             // Gemm: its weight is the embedding table, [n, k]
  std::int64_t first_id = 0;                // Embedding: token id of the shard's first row
  std::vector<std::int64_t> expert_rows;    // GroupedGemm: rows of each hosted expert
  // Permute: for each row written the row read, counted in the read view. WeightedSum: for each (token, choice) its row; -1: dropped.
  // Router: for each (token, choice) its expert; RoutingPlan::no_expert: dropped.
  std::vector<std::int32_t> table;
  std::optional<Exchange> exchange;         // of communication
};

/// All ops of the rank's program, in program order, on buffers that lie in `memory` as planned. The schedule must outlive them.
[[nodiscard]] std::vector<BoundOp> bind(const ir::Schedule& schedule, Rank rank, const ir::Instances& instances, const ir::MemoryPlan& plan,
                                        std::span<std::byte> memory);

/// What the members of each instance agree on, by InstanceId. An all-to-all that the schedule wants hierarchical is routed so where its
/// members are spread evenly over several nodes. node_of by rank; empty: one node.
[[nodiscard]] std::vector<ExchangeShape> exchange_shapes(const ir::Schedule& schedule, const ir::Instances& instances,
                                                         std::span<const NodeId> node_of = {});

}  // namespace fabricast::runtime
