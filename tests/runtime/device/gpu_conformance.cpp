// The conformance suite on a real GPU, through the library that the programs open. Without one it says so and ends with 77.
#include <doctest/doctest.h>

#include <cstdio>
#include <memory>

#include "runtime/cuda_plugin.hpp"
#include "strategies/ir/work_json.hpp"
#include "tests/runtime/jobs.hpp"
#include "tests/runtime/one_of_each.hpp"
#include "validation/bench_json.hpp"

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

// The floors are what no GPU of today beats: 10 PFLOP/s, 20 TB/s. Shares are printed, and warned about where they are below what is aimed for.
TEST_CASE("GPU: micro-benchmarks of every kind of kernel, and of an EP64_TP2 rank at full shapes") {
  constexpr auto bf16 = hw::Precision::bf16;
  using Rows = std::int64_t;
  runtime::BenchPlan plan;
  plan.kernels = one_of_each(bf16);
  for (const hw::Kernel& kernel : one_of_each(hw::Precision::fp32)) plan.kernels.push_back(kernel);
  const std::size_t small = plan.kernels.size();
  plan.kernels.emplace_back(hw::GroupedGemm<hw::ExpertRowCounts>{{40000}, 16384, 4096, bf16});
  plan.kernels.emplace_back(hw::GroupedGemm<hw::ExpertRowCounts>{{40000}, 4096, 8192, bf16});
  plan.kernels.emplace_back(hw::Attention<Rows>{2, 10000, 10000, 16, 16, 128, true, bf16});
  plan.kernels.emplace_back(hw::Activation<Rows>{40000, 8192, true, bf16});
  plan.kernels.emplace_back(hw::RmsNorm<Rows>{10000, 4096, bf16});
  plan.kernels.emplace_back(hw::Rope<Rows>{20000, 4096, bf16, 128, 10000});
  plan.kernels.emplace_back(hw::ResidualAdd<Rows>{10000, 4096, bf16});
  plan.kernels.emplace_back(hw::Permute<Rows>{20000, 4096, bf16});
  plan.kernels.emplace_back(hw::WeightedSum<Rows>{10000, 20000, 4096, bf16});
  plan.copies = {Bytes(std::int64_t{1} << 30)};
  plan.beside = {hw::Gemm<Rows>{8192, 4096, 4096, bf16}, hw::ResidualAdd<Rows>{20000, 4096, bf16}};
  runtime::CudaBenchOptions options;
  options.traffic = {{16, BytesPerSecond(50e9)}};
  const runtime::BenchResults results = backend->microbench(plan, options);
  CHECK(results.left_out.empty());
  REQUIRE(results.kernels.size() == plan.kernels.size());
  for (std::size_t i = 0; i < results.kernels.size(); ++i) {
    const auto& k = results.kernels[i];
    CAPTURE(ir::kernel_json(k.kernel));
    CHECK(k.seconds.median > hw::flop(k.kernel) / FlopPerSecond(1e16));
    CHECK(k.seconds.median > hw::memory_traffic(k.kernel) / BytesPerSecond(20e12));
    if (i < small) continue;
    if (k.best) WARN(validation::share_of_best(k) >= 0.95);
    if (const auto share = validation::share_of_copy_rate(results, k)) WARN(*share >= 0.85);
  }
  REQUIRE(results.interference.size() == 2);
  for (const auto& beside : results.interference) {
    CHECK(beside.communication > BytesPerSecond(40e9));     // the traffic keeps its pace
    CHECK(beside.beside > 0.98 * beside.alone);
  }
  std::printf("%s", validation::bench_summary(results).c_str());
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
