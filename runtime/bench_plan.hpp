// Which micro-benchmarks calibration needs: kernels by shape, copies, collectives by size and group. Knows no device and no times.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/kernels.hpp"
#include "runtime/executor.hpp"
#include "runtime/transport.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::runtime {

struct CollectiveBench {
  hw::CollectiveKind kind;
  Bytes size;                     // S of hardware_models/collectives.hpp; shards and pieces are even
  std::int32_t members = 2;
  std::int32_t groups = 1;        // side by side
  hw::Precision precision = hw::Precision::fp32;
  std::int32_t stride = 1;        // neighbours in a group are so many ranks apart; where ranks are processes
  std::int32_t nodes = 1;         // of a group, evenly; as found where it ran

  [[nodiscard]] std::int32_t group_of(Rank rank) const { return rank.value / (members * stride) * stride + rank.value % stride; }
  [[nodiscard]] std::int32_t member_of(Rank rank) const { return rank.value % (members * stride) / stride; }
};

/// What its members agree on.
[[nodiscard]] ExchangeShape shape_of(const CollectiveBench& bench);

/// by_rank[rank][sample]: of each group and sample the slowest member's, group by group. As many samples of every rank.
[[nodiscard]] std::vector<Seconds> slowest_members(const CollectiveBench& bench, const std::vector<std::vector<Seconds>>& by_rank);

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

/// The shapes of a schedule, and those with half and a quarter of the rows, at most `most` row counts of each weight matrix; its collectives by
/// kind, size and group, a quarter and a sixteenth of each size too, those of all groups side by side, as the schedule has them.
[[nodiscard]] BenchPlan bench_plan_of(const ir::Schedule& schedule, std::size_t most = 4);

/// Shapes that tell what a GPU does: from those that a launch outlasts to those that fill its memory bandwidth or its tensor cores, in several
/// widths; every collective from 64 KiB to 1 GiB, among all ranks and in groups of neighbours, by powers of two.
[[nodiscard]] BenchPlan device_bench_plan(std::int32_t ranks, hw::Precision precision);

/// The same of a schedule, collectives by stride too; with copies of a GPU's sizes, and beside communication the largest product, attention and
/// pass over memory.
[[nodiscard]] BenchPlan device_bench_plan_of(const ir::Schedule& schedule, std::size_t most = 4);

/// What was measured, in the order of the plan.
struct BenchResults {
  struct KernelTime {
    hw::Kernel kernel;
    Spread seconds;
    std::optional<Spread> best = {};         // of matrix products on a GPU: the best that the library alone has for the same
  };
  struct CopyTime {
    Bytes bytes;
    Spread seconds;
  };
  struct CollectiveTime {
    CollectiveBench bench;
    Spread seconds;
  };
  /// A kernel alone and beside communication that goes on meanwhile: all-gathers of all ranks, or traffic that stands in for it.
  struct Interference {
    hw::Kernel kernel;
    Seconds alone, beside;
    BytesPerSecond communication;            // received by each rank meanwhile
    std::int32_t sms = 0;                    // held meanwhile
    std::optional<BytesPerSecond> memory = {};   // drawn by it from the device's memory, where that is known
  };
  struct LeftOut {
    std::string what, why;
  };
  Machine machine;
  std::int32_t ranks = 1, repetitions = 1;
  std::vector<KernelTime> kernels;
  std::vector<CopyTime> copies;
  std::vector<CollectiveTime> collectives;
  std::optional<Spread> launch;
  std::vector<Interference> interference;
  std::string method;                        // how a GPU's times were taken, for people
  std::optional<BytesPerSecond> copy_rate;   // of a GPU's largest copy, read and written: what passes over memory are held against
  std::vector<LeftOut> left_out;             // of the plan
};

}  // namespace fabricast::runtime
