// The conformance suite on a real GPU, through the library that the programs open. Without one it says so and ends with 77.
#include <doctest/doctest.h>

#include <cstdio>
#include <memory>

#include "runtime/cuda_plugin.hpp"
#include "tests/runtime/jobs.hpp"

namespace fabricast::gpu_conformance {

using namespace fabricast;
using namespace fabricast::tests;
using runtime::CudaMode;

namespace {

std::unique_ptr<runtime::CudaBackend> backend;

std::unique_ptr<runtime::Executor> executor(CudaMode mode, std::int32_t rank = 0) {
  runtime::CudaOptions options;
  options.mode = mode;
  options.rank = Rank{rank};
  return backend->executor(options);
}

}  // namespace

TEST_CASE("GPU: virtual ranks, every strategy and kernel") {
  const auto virtual_ranks = executor(CudaMode::virtual_ranks);
  for (const std::vector<NamedJob>& jobs : {strategy_jobs(), model_jobs(), {{"EP64_TP2", ep64_tp2()}}}) {
    for (const NamedJob& named : jobs) {
      CAPTURE(named.name);
      run_and_check(*virtual_ranks, named.job);
    }
  }
}

TEST_CASE("GPU: one rank, tuned matrix products") {
  Job job;
  job.gpus = 1;
  run_and_check(*executor(CudaMode::distributed), job);
  job.model.precision = hw::Precision::bf16;
  run_and_check(*executor(CudaMode::distributed), job);
}

TEST_CASE("GPU: a slice times every op of its rank") {
  Job job;
  job.gpus = 8;
  job.strategy.tensor = 2;
  job.strategy.expert = 4;
  const ir::Schedule schedule = schedule_of(job);
  const runtime::MeasuredRun run = executor(CudaMode::slice, 5)->run(schedule, {});
  for (const ir::OpInterval& op : run.steps.at(0).ops[5]) CHECK(op.end > SimTime{});
}

}  // namespace fabricast::gpu_conformance

int main(int argc, char** argv) {
  constexpr int skipped = 77;
  try {
    fabricast::gpu_conformance::backend = fabricast::runtime::open_cuda(argc > 1 ? argv[1] : "");
  } catch (const fabricast::runtime::BackendUnavailable& error) {
    std::printf("SKIPPED, nothing was tested: %s\n", error.what());
    return skipped;
  }
  doctest::Context context;
  return context.run();
}
