// The conformance suite on a real GPU, through the library that the programs open. Without one it says so and ends with 77.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
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

using runtime::AttentionKernels;

std::unique_ptr<runtime::Executor> executor(CudaMode mode, std::int32_t rank = 0, AttentionKernels attention = AttentionKernels::best) {
  runtime::CudaOptions options;
  options.mode = mode;
  options.rank = Rank{rank};
  options.attention = attention;
  options.warn = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  return backend->executor(options);
}

/// Two layers, whose attention is what differs: heads and keys' heads, their size, the sequence, what is seen.
Job attention_job(std::int64_t heads, std::int64_t kv_heads, std::int64_t head_dim, std::int64_t length, bool causal) {
  Job job;
  job.gpus = 2;
  job.strategy.tensor = 2;
  job.model.precision = hw::Precision::bf16;
  job.model.n_heads = heads;
  job.model.n_kv_heads = kv_heads;
  job.model.d_head = head_dim;
  job.model.max_sequence_length = length;
  job.model.causal = causal;
  job.workload.sequences = 4;
  job.workload.sequence_length = length;
  return job;
}

/// Why cuDNN's attention does not run here; empty where it does.
std::string why_no_cudnn() {
  try {
    runtime::RunOptions options;
    options.timed_steps = 1;
    (void)executor(CudaMode::virtual_ranks, 0, AttentionKernels::cudnn)->run(schedule_of(attention_job(4, 4, 128, 64, true)), options);
    return {};
  } catch (const runtime::BackendUnavailable& error) {
    return error.what();
  }
}

double largest_difference(const runtime::MeasuredRun& a, const runtime::MeasuredRun& b) {
  double difference = 0, largest = 0;
  REQUIRE(a.logits.size() == b.logits.size());
  for (std::size_t i = 0; i < a.logits.size(); ++i) {
    REQUIRE(a.logits[i].values.size() == b.logits[i].values.size());
    for (std::size_t k = 0; k < a.logits[i].values.size(); ++k) {
      difference = std::max(difference, std::abs(static_cast<double>(a.logits[i].values[k]) - b.logits[i].values[k]));
      largest = std::max(largest, std::abs(static_cast<double>(a.logits[i].values[k])));
    }
  }
  return difference / largest;
}

}  // namespace

TEST_CASE("GPU: virtual ranks, every strategy and kernel, with whatever attention is best here and with our own") {
  for (const AttentionKernels attention : {AttentionKernels::best, AttentionKernels::own}) {
    const auto virtual_ranks = executor(CudaMode::virtual_ranks, 0, attention);
    for (const std::vector<NamedJob>& jobs : {strategy_jobs(), model_jobs(), {{"EP64_TP2", ep64_tp2()}}}) {
      for (const NamedJob& named : jobs) {
        CAPTURE(named.name);
        run_and_check(*virtual_ranks, named.job);
      }
    }
  }
}

// Each is held against the reference by run_and_check. Between the two, only the rounding of weights to bf16 and the order of sums differ.
TEST_CASE("GPU: cuDNN's attention and our own give the reference's numbers, and each other's") {
  if (const std::string why = why_no_cudnn(); !why.empty()) {
    std::printf("SKIPPED, cuDNN's attention was not tested: %s\n", why.c_str());
    return;
  }
  for (const Job& job : {attention_job(4, 4, 128, 256, true), attention_job(8, 2, 128, 150, true), attention_job(8, 8, 64, 777, true),
                         attention_job(4, 2, 64, 131, false), attention_job(4, 4, 8, 16, true), attention_job(4, 4, 128, 1, true)}) {
    CAPTURE(job.model.d_head);
    CAPTURE(job.model.max_sequence_length);
    const runtime::MeasuredRun own = run_and_check(*executor(CudaMode::virtual_ranks, 0, AttentionKernels::own), job);
    const runtime::MeasuredRun cudnn = run_and_check(*executor(CudaMode::virtual_ranks, 0, AttentionKernels::cudnn), job);
    CHECK(own.machine.attention == "own");
    CHECK(cudnn.machine.attention.rfind("cuDNN ", 0) == 0);
    const double difference = largest_difference(own, cudnn);
    std::printf("cuDNN's attention against our own: heads of %lld, %lld tokens: logits differ by %.1e of the largest\n",
                static_cast<long long>(job.model.d_head), static_cast<long long>(job.model.max_sequence_length), difference);
    CHECK(difference <= runtime::tolerance_of(hw::Precision::bf16, job.model.layers));
  }
}

TEST_CASE("GPU: an EP64_TP2 rank's attention, by cuDNN and by our own kernel") {
  runtime::BenchPlan plan;
  plan.kernels.emplace_back(hw::Attention<std::int64_t>{2, 10000, 10000, 16, 16, 128, true, hw::Precision::bf16});
  Seconds by_own;
  for (const AttentionKernels attention : {AttentionKernels::own, AttentionKernels::best}) {
    runtime::CudaBenchOptions options;
    options.attention = attention;
    const runtime::BenchResults results = backend->microbench(plan, options);
    REQUIRE(results.kernels.size() == 1);
    const Seconds time = results.kernels[0].seconds.median;
    std::printf("attention, %s: %.3f ms, %.0f TFLOP/s\n", results.machine.attention.c_str(), time.value() * 1e3,
                (hw::flop(plan.kernels[0]) / time).value() * 1e-12);
    if (attention == AttentionKernels::own) by_own = time;
    CHECK(time > hw::flop(plan.kernels[0]) / FlopPerSecond(1e16));
    WARN(time <= by_own);
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
