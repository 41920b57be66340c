// Replays one rank's program: each stream in order, edges between streams kept, times recorded. Knows no kernels, no data paths and no
// other rank.
//
// Two lanes, each one thread: lane 0 drives the compute stream, lane 1 all others. Communication never blocks a lane: it looks at its
// streams in turn, starts what may start, advances what has arrived, and sleeps on its doorbell when nothing moves. So a collective that
// waits for a late member holds up its own stream only, computation goes on beside it, and whatever order the members come in, no lane
// waits for an op that it is itself to run.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/bound_op.hpp"
#include "runtime/compute.hpp"
#include "runtime/doorbell.hpp"
#include "runtime/executor.hpp"
#include "runtime/transport.hpp"

namespace fabricast::runtime {

/// What a step leaves behind. Null: not wanted.
struct StepRecord {
  Clock::time_point zero;
  std::vector<ir::OpInterval>* intervals = nullptr;   // by op, of the rank
  std::vector<LogitsShard>* logits = nullptr;         // of the rank
};

class RankReplay {
 public:
  static constexpr std::size_t lanes = 2;

  /// One bell for each lane.
  RankReplay(const ir::Schedule& schedule, Rank rank, std::vector<BoundOp> ops, Compute& compute, Transport& transport,
             std::span<Doorbell> bells);

  /// Before each step, when no lane runs.
  void reset();

  /// The lane's part of one step. False if `stop` was raised before the end. Throws ExecutionError.
  [[nodiscard]] bool run_lane(std::size_t lane, const StepRecord& record, const std::atomic<bool>& stop);

  /// Ops that are issued and have not ended. When no lane runs.
  [[nodiscard]] std::vector<ir::OpIndex> waiting() const;

 private:
  struct Stream {
    std::vector<ir::OpIndex> ops;              // in order
    std::atomic<std::int32_t> ended{0};        // how many of them have
    bool is_issued = false;                    // the next one; its lane's own
    ir::OpInterval interval{};                 // of the next one
  };

  [[nodiscard]] bool may_start(const ir::Op& op) const;
  bool advance(Stream& stream, std::size_t lane, const StepRecord& record);
  void compute(const BoundOp& op, Stream& stream, const StepRecord& record);
  void end(const BoundOp& op, Stream& stream, std::size_t lane, const StepRecord& record);
  void keep_logits(const BoundOp& op, std::vector<LogitsShard>& logits) const;

  const ir::Schedule& schedule_;
  Rank rank_;
  std::vector<BoundOp> ops_;
  std::vector<std::int32_t> places_;           // by op: its place in its stream
  std::vector<bool> wakes_other_lane_;         // by op: an op of the other lane waits for it
  std::vector<Stream> streams_;
  std::span<Doorbell> bells_;                  // by lane
  Compute& compute_;
  Transport& transport_;
};

}  // namespace fabricast::runtime
