// Small schedules with made-up traces, for tests of what a report makes of them. Nothing here is simulated.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "sim/simulate.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"
#include "strategies/ir/split_mix.hpp"
#include "strategies/ir/trace.hpp"

namespace fabricast::tests {

/// For doctest::Approx, which takes differences below 1e-5 for none: seconds of made-up traces are that small.
inline double picoseconds(Seconds time) { return time.value() * picoseconds_per_second; }

/// Round numbers: 1 TFLOP/s, 1 GB/s, 1 GiB.
inline hw::GpuSpec test_gpu() {
  hw::GpuSpec gpu;
  gpu.name = "test";
  gpu.streaming_multiprocessors = 100;
  gpu.peak.fill(FlopPerSecond(1e12));
  gpu.memory_bandwidth = BytesPerSecond(1e9);
  gpu.memory = Bytes(std::int64_t{1} << 30);
  return gpu;
}

/// Ranks 0 … n-1 run one program and form one tensor group; rank r is on GPU r.
inline ir::Schedule tensor_group(std::int32_t ranks) {
  ir::Schedule schedule;
  schedule.labels = {"mlp", "attention_output", "gather", "reduce", "layer 0"};
  schedule.tokens = 1000;
  schedule.programs.push_back({"stage 0", {"compute", "tensor", "second"}, {}, {}});
  for (std::size_t axis = 0; axis < ir::axis_count; ++axis) {
    const bool whole = static_cast<ir::Axis>(axis) == ir::Axis::tensor;
    for (std::int32_t first = 0; first < ranks; first += whole ? ranks : 1) {
      ir::Group group{static_cast<ir::Axis>(axis), {}};
      for (std::int32_t r = first; r < (whole ? ranks : first + 1); ++r) group.members.push_back(Rank{r});
      schedule.groups.push_back(std::move(group));
    }
  }
  for (std::int32_t r = 0; r < ranks; ++r) {
    ir::RankBinding rank;
    rank.gpu = GpuId{r};
    rank.at.tensor = r;
    for (std::size_t g = 0; g < schedule.groups.size(); ++g) {
      const auto& members = schedule.groups[g].members;
      const auto found = std::find(members.begin(), members.end(), Rank{r});
      if (found == members.end()) continue;
      const auto axis = static_cast<std::size_t>(schedule.groups[g].axis);
      rank.groups[axis] = ir::GroupId{static_cast<std::int32_t>(g)};
      rank.members[axis] = static_cast<std::int32_t>(found - members.begin());
    }
    schedule.ranks.push_back(rank);
  }
  return schedule;
}

/// 2·m·n·k FLOP on the compute stream.
inline void add_gemm(ir::Schedule& schedule, std::int64_t m, std::int64_t n, std::int64_t k, std::int32_t label = 0) {
  const hw::Gemm<ir::Extent> gemm{ir::Extent::constant(m), n, k, hw::Precision::bf16};
  schedule.programs[0].ops.push_back({ir::compute_stream, gemm, {}, {}, {}, ir::LabelId{label}, ir::LabelId{4}, {}});
}

/// An all-gather over the tensor group: S = ranks · rows · row_bytes.
inline void add_gather(ir::Schedule& schedule, std::int64_t rows, std::int64_t row_bytes, std::int32_t stream = 1, std::int32_t label = 2) {
  const ir::Collective gather{hw::CollectiveKind::all_gather, ir::Axis::tensor, ir::Extent::constant(rows), row_bytes};
  schedule.programs[0].ops.push_back({ir::StreamId{stream}, gather, {}, {}, {}, ir::LabelId{label}, ir::LabelId{4}, {}});
}

/// A program of `ops` gemms and all-gathers on three streams, in random order.
inline ir::Schedule random_schedule(std::int32_t ranks, std::uint32_t ops, ir::SplitMix64& random) {
  ir::Schedule schedule = tensor_group(ranks);
  for (std::uint32_t i = 0; i < ops; ++i) {
    const std::uint32_t which = random.below(4);
    if (which < 2) add_gemm(schedule, 1 + random.below(100), 64, 64, static_cast<std::int32_t>(which));
    if (which >= 2) add_gather(schedule, 1 + random.below(100), 64, static_cast<std::int32_t>(which - 1), static_cast<std::int32_t>(which));
  }
  return schedule;
}

/// Every stream in order with random gaps, waits and durations (some 0), in picoseconds below `longest`.
inline ir::Trace random_trace(const ir::Schedule& schedule, std::uint32_t longest, ir::SplitMix64& random) {
  ir::Trace trace;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    auto& ops = trace.ops.emplace_back();
    std::array<SimTime, 3> free{};
    for (const ir::Op& op : schedule.programs[0].ops) {
      SimTime& stream = free[op.stream.index()];
      const SimTime issued = stream + SimTime(random.below(longest));
      const SimTime start = issued + SimTime(ir::communicates(op.work) ? random.below(longest) : 0);
      const SimTime end = start + SimTime(random.below(longest));
      ops.push_back({issued, start, end});
      stream = end;
    }
  }
  return trace;
}

/// Intervals of instances from the trace: first member's start to last member's end.
inline std::vector<sim::InstanceInterval> intervals_of(const ir::Instances& instances, const ir::Trace& trace, Seconds floor) {
  std::vector<sim::InstanceInterval> result;
  for (const ir::Instance& instance : instances.all) {
    sim::InstanceInterval interval{SimTime(INT64_MAX), SimTime(0), floor};
    for (const ir::InstanceMember member : instance.members) {
      interval.start = std::min(interval.start, trace.at(member.rank, member.op).start);
      interval.end = std::max(interval.end, trace.at(member.rank, member.op).end);
    }
    result.push_back(interval);
  }
  return result;
}

}  // namespace fabricast::tests
