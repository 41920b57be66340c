// One rank on a device: its memory, its ops with their tables, its streams and the events that mark when each op was reached and done.
// Knows no other rank and no step.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/bound_op.hpp"
#include "runtime/cuda/compute_space.hpp"
#include "runtime/cuda/cuda_api.hpp"
#include "strategies/ir/memory_plan.hpp"

namespace fabricast::runtime::cuda {

struct DeviceRankOptions {
  std::uint64_t seed = 1;
  hw::Precision precision = hw::Precision::bf16;
  std::int32_t expert_streams = 1;
  Bytes workspace;                       // for matrix products, of each stream that computes
};

class DeviceRank {
 public:
  /// Allocates on the current device. Throws CudaError.
  DeviceRank(const ir::Schedule& schedule, Rank rank, const ir::Instances& instances, ir::MemoryPlan plan, const DeviceRankOptions& options);

  /// Fills the arena: with not-a-numbers, or with random numbers where nothing may be one; then parameters and token ids.
  void fill_memory(bool with_random_numbers);
  void fill_random();

  [[nodiscard]] Rank rank() const { return rank_; }
  [[nodiscard]] const std::vector<BoundOp>& ops() const { return ops_; }
  [[nodiscard]] Bytes arena_bytes() const { return plan_.peak; }
  [[nodiscard]] bool is_bf16() const { return options_.precision == hw::Precision::bf16; }

  [[nodiscard]] std::size_t streams() const { return streams_.size(); }
  [[nodiscard]] cudaStream_t stream(ir::StreamId id) const { return streams_[id.index()].get(); }
  [[nodiscard]] cudaEvent_t reached(ir::OpIndex op) const { return reached_[op.index()].get(); }
  [[nodiscard]] cudaEvent_t done(ir::OpIndex op) const { return done_[op.index()].get(); }

  [[nodiscard]] OpTables tables(ir::OpIndex op) const;
  [[nodiscard]] const ComputeSpace& space() const { return *space_; }

  /// What a rank needs in device memory beside its arena.
  [[nodiscard]] static Bytes beside_arena(const ir::Schedule& schedule, Rank rank, const DeviceRankOptions& options);

 private:
  void upload_tables();

  const ir::Schedule& schedule_;
  Rank rank_;
  DeviceRankOptions options_;
  ir::MemoryPlan plan_;
  DeviceMemory arena_, tables_;
  std::vector<BoundOp> ops_;
  std::vector<std::size_t> table_at_, turns_at_;   // by op: offsets in tables_
  std::vector<Stream> streams_;
  std::optional<ComputeSpace> space_;              // on the compute stream
  std::vector<Event> reached_, done_;              // by op
};

}  // namespace fabricast::runtime::cuda
