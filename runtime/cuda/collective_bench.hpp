// Micro-benchmarks of collectives among the processes of a job, one GPU each. Knows no kernels and no schedule.
#pragma once

#include "runtime/cuda_plugin.hpp"

namespace fabricast::runtime::cuda {

/// Adds the plan's collectives to the results, on every process all of them, and what is left out. All processes call it at the same time, with
/// equal plans and options. The device is current. Throws BackendUnavailable without NCCL, or where the plan has another number of ranks than
/// the job; ExecutionError naming the collective.
void bench_collectives(const BenchPlan& plan, const CudaBenchOptions& options, BenchResults& results);

}  // namespace fabricast::runtime::cuda
