// Kernels that run while communication holds part of their GPU: how far each is, and when it ends unless that changes. Knows no collective
// and no network: it is told what is held of which rank's GPU.
#pragma once

#include <cstdint>
#include <vector>

#include "hardware_models/gpu_cost.hpp"
#include "sim/compute_times.hpp"
#include "sim/engine.hpp"

namespace fabricast::sim {

/// A kernel that takes `alone` with the GPU to itself and `slowed` under the present load does alone / slowed picoseconds of its work in
/// each one. When the load changes, what is left of the work goes on at the new rate. Whole picoseconds: work done is rounded down and the
/// end up, so no kernel ends early, and each change costs it less than 1 ps.
class GpuSharing {
 public:
  /// Schedules events {kind, rank, op}. The arguments must outlive it.
  GpuSharing(Engine& engine, std::uint32_t kind, ComputeTimes& times, std::size_t ranks)
      : engine_(engine), kind_(kind), times_(times), gpus_(ranks) {}

  void start(Rank rank, ir::OpIndex op);
  /// At an event: does the kernel end now? Not where the load has changed since the event was scheduled.
  [[nodiscard]] bool end(Rank rank, ir::OpIndex op);

  /// By how much the kernels that have ended on the rank took longer than alone, in all.
  [[nodiscard]] SimTime slowed_by(Rank rank) const { return gpus_[rank.index()].lost; }

  void hold(Rank rank, const hw::GpuLoad& load);
  void release(Rank rank, const hw::GpuLoad& load);

 private:
  struct Kernel {
    ir::OpIndex op;
    SimTime alone, slowed;
    SimTime left;            // of `alone`, at `since`
    SimTime start, since, finish;
  };
  struct Gpu {
    hw::GpuLoad load;
    std::vector<Kernel> running;
    SimTime lost;
  };

  void change_rates(Rank rank);
  void announce(Rank rank, const Kernel& kernel);

  Engine& engine_;
  std::uint32_t kind_;
  ComputeTimes& times_;
  std::vector<Gpu> gpus_;    // by rank
};

}  // namespace fabricast::sim
