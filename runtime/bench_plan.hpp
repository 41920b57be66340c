// Which micro-benchmarks calibration needs: kernels by shape, copies, collectives by size and group. Knows no device and no times.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/kernels.hpp"
#include "runtime/executor.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::runtime {

struct CollectiveBench {
  hw::CollectiveKind kind;
  Bytes size;                     // S of hardware_models/collectives.hpp; shards and pieces are even
  std::int32_t members = 2;
  std::int32_t groups = 1;        // side by side
  hw::Precision precision = hw::Precision::fp32;
};

struct BenchPlan {
  std::int32_t ranks = 1;                    // that run each kernel at once
  std::vector<hw::Kernel> kernels;
  std::vector<Bytes> copies;
  std::vector<CollectiveBench> collectives;
  std::vector<hw::Kernel> beside;            // timed alone and beside communication
  Bytes beside_size;                         // S of the all-gathers that go on meanwhile
};

/// Shapes that a host runs in milliseconds: every kind of kernel in several widths and row counts, every collective among two and among all
/// ranks, all groups side by side, from 16 KiB to 4 MiB.
[[nodiscard]] BenchPlan host_bench_plan(std::int32_t ranks, hw::Precision precision);

/// The shapes of a schedule, and those with half and a quarter of the rows, at most `most` row counts of each weight matrix; its collectives by kind, size and
/// group, a quarter and a sixteenth of each size too, those of all groups side by side, as the schedule has them.
[[nodiscard]] BenchPlan bench_plan_of(const ir::Schedule& schedule, std::size_t most = 4);

/// What was measured, in the order of the plan.
struct BenchResults {
  struct KernelTime {
    hw::Kernel kernel;
    Spread seconds;
  };
  struct CopyTime {
    Bytes bytes;
    Spread seconds;
  };
  struct CollectiveTime {
    CollectiveBench bench;
    Spread seconds;
  };
  /// A kernel alone and beside all-gathers that never end, in all ranks at once.
  struct Interference {
    hw::Kernel kernel;
    Seconds alone, beside;
    BytesPerSecond communication;            // received by each rank meanwhile
  };
  Machine machine;
  std::int32_t ranks = 1, repetitions = 1;
  std::vector<KernelTime> kernels;
  std::vector<CopyTime> copies;
  std::vector<CollectiveTime> collectives;
  Spread launch;
  std::vector<Interference> interference;
};

}  // namespace fabricast::runtime
