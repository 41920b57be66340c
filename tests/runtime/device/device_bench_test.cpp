// Micro-benchmarks on a device that the host plays (host_device.hpp): what is timed, what is left out, and what calibrate reads of it.
#include "runtime/cuda/device_bench.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <thread>

#include "runtime/bf16.hpp"
#include "runtime/cuda/device_compute.hpp"
#include "runtime/host_compute.hpp"
#include "runtime/tcp_rendezvous.hpp"
#include "strategies/ir/work_json.hpp"
#include "tests/runtime/device/host_device.hpp"
#include "tests/runtime/free_port.hpp"
#include "tests/runtime/one_of_each.hpp"
#include "tests/runtime/tiny.hpp"
#include "validation/bench_json.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::device_bench_test {

using namespace fabricast;
using namespace fabricast::tests;
using runtime::BenchPlan;
using runtime::BenchResults;
using Rows = std::int64_t;

namespace {

constexpr auto bf16 = hw::Precision::bf16;

runtime::CudaBenchOptions few_samples() {
  runtime::CudaBenchOptions options;
  options.repetitions = 3;
  options.expert_streams = 2;
  return options;
}

BenchPlan plan_of(std::vector<hw::Kernel> kernels) {
  BenchPlan plan;
  plan.kernels = std::move(kernels);
  return plan;
}

void check_spread(const runtime::Spread& s) {
  CHECK(s.p10 > Seconds(0));
  CHECK(s.p10 <= s.median);
  CHECK(s.median <= s.p90);
}

bool is_product(const hw::Kernel& kernel) { return ir::kind_of(kernel) == "gemm" || ir::kind_of(kernel) == "grouped_gemm"; }

template <class Body>
std::string message_of(Body body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

void check_contains(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
}

std::vector<float> values_of(const runtime::View& view, hw::Precision precision) {
  const std::int64_t count = view.rows * view.row_bytes / hw::element_bytes(precision);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) {
    values.push_back(precision == bf16 ? runtime::to_float(reinterpret_cast<const runtime::Bf16*>(view.data)[i])
                                       : reinterpret_cast<const float*>(view.data)[i]);
  }
  return values;
}

/// The plan on a job of four, each process a thread. What each returned.
std::vector<BenchResults> run_job(const BenchPlan& plan, const runtime::CudaBenchOptions& options, std::int32_t absent = -1) {
  constexpr std::int32_t ranks = 4;
  const std::uint16_t port = free_port();
  std::vector<BenchResults> results(ranks);
  std::vector<std::string> errors(ranks);
  std::vector<std::jthread> threads;
  for (std::int32_t r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      try {
        runtime::TcpRendezvous rendezvous({"127.0.0.1", port, Rank{r}, ranks, Seconds(60)});
        if (r == absent) return;
        runtime::CudaBenchOptions own = options;
        own.rendezvous = &rendezvous;
        results[static_cast<std::size_t>(r)] = runtime::cuda::run_on_device(plan, own);
      } catch (const std::exception& error) {
        errors[static_cast<std::size_t>(r)] = error.what();
      }
    });
  }
  threads.clear();
  for (const std::string& error : errors) {
    if (!error.empty()) throw runtime::ExecutionError(error);
  }
  return results;
}

BenchPlan collectives_of_four() {
  BenchPlan plan;
  plan.ranks = 4;
  for (const hw::CollectiveKind kind : hw::all_collective_kinds) {
    for (const std::int32_t stride : {1, 2}) plan.collectives.push_back({kind, Bytes(4096), 2, 2, bf16, stride});
    if (kind != hw::CollectiveKind::send) plan.collectives.push_back({kind, Bytes(65536), 4, 1, bf16});
  }
  return plan;
}

validation::Measurements read_back(const BenchResults& results) {
  return validation::read_measurements_json(hw::parse_json_text(validation::to_json(results, "a test", "2026-11-27T00:00:00Z"), "results"));
}

}  // namespace

TEST_CASE("device bench: every kernel, copy and kernel beside traffic is there once, in the plan's order, with times") {
  for (const hw::Precision precision : {hw::Precision::fp32, bf16}) {
    BenchPlan plan = plan_of(one_of_each(precision));
    plan.copies = {Bytes(4096), Bytes(1 << 20)};
    plan.beside = {hw::Gemm<Rows>{16, 16, 16, precision}, hw::ResidualAdd<Rows>{8, 16, precision}};
    runtime::CudaBenchOptions options = few_samples();
    options.traffic = {{2, BytesPerSecond(1e9)}, {3, BytesPerSecond(2e9)}};
    std::vector<std::string> said;
    options.say = [&](const std::string& what) { said.push_back(what); };
    const BenchResults results = runtime::cuda::run_on_device(plan, options);
    CHECK(results.left_out.empty());
    CHECK(results.machine.device == "host device");
    CHECK(results.repetitions == 3);
    CHECK(said.size() == 1 + plan.kernels.size() + plan.copies.size() + 4);
    REQUIRE(results.kernels.size() == plan.kernels.size());
    for (std::size_t i = 0; i < plan.kernels.size(); ++i) {
      CAPTURE(ir::kernel_json(plan.kernels[i]));
      CHECK(ir::kernel_json(results.kernels[i].kernel) == ir::kernel_json(plan.kernels[i]));
      check_spread(results.kernels[i].seconds);
      REQUIRE(results.kernels[i].best.has_value() == is_product(plan.kernels[i]));
      if (results.kernels[i].best) check_spread(*results.kernels[i].best);
    }
    REQUIRE(results.copies.size() == 2);
    for (const auto& copy : results.copies) check_spread(copy.seconds);
    // 1 MiB, read and written
    CHECK(results.copy_rate->value() == doctest::Approx(2.0 * (1 << 20) / results.copies[1].seconds.median.value()));
    REQUIRE(results.launch.has_value());
    check_spread(*results.launch);
    REQUIRE(results.interference.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
      const BenchResults::Interference& beside = results.interference[i];
      CHECK(ir::kernel_json(beside.kernel) == ir::kernel_json(plan.beside[i / 2]));
      CHECK(beside.sms == (i % 2 == 0 ? 2 : 3));
      CHECK(beside.alone > Seconds(0));
      CHECK(beside.beside > Seconds(0));
      // At most the rate asked for: the device's traffic takes its time.
      CHECK(beside.communication > BytesPerSecond(0));
      CHECK(beside.communication <= options.traffic[i % 2].rate * 1.001);
    }
  }
  CHECK(things_alive() == 0);
}

// The stand-in's memory is the host's: the host's kernels read the very same operands. In place, the second would rotate the first's result.
TEST_CASE("device bench: what is timed computes, on random numbers, what the host computes") {
  for (const hw::Precision precision : {hw::Precision::fp32, bf16}) {
    for (const hw::Kernel& kernel : one_of_each(precision)) {
      CAPTURE(ir::kernel_json(kernel));
      const runtime::cuda::Stream stream = runtime::cuda::make_stream(runtime::cuda::Priority::low);
      runtime::cuda::Gemms gemms(0, static_cast<std::size_t>(runtime::cuda::hopper_workspace.value()));
      runtime::cuda::Attentions attentions(runtime::AttentionKernels::own, static_cast<std::size_t>(runtime::cuda::hopper_workspace.value()), {});
      const runtime::cuda::DeviceKernel work(kernel, stream.get(), 2, 7);
      runtime::cuda::prepare(work.op(), work.space(), {gemms, attentions});
      const bool has_choices = ir::kind_of(kernel) == "router", in_place = ir::kind_of(kernel) == "rope";
      const runtime::View& out = work.op().writes.at(0);
      const std::vector<float> before = values_of(out, precision);
      std::set<float> different(before.begin(), before.end());
      if (in_place) CHECK(different.size() > 20);
      runtime::cuda::compute(work.op(), work.tables(), work.space(), {gemms, attentions});
      runtime::cuda::check(cudaStreamSynchronize(stream.get()));
      const hw::Precision stored = has_choices ? hw::Precision::fp32 : precision;   // weights and expert ids
      const std::vector<float> by_device = values_of(out, stored);
      if (in_place) {
        CHECK(by_device != before);
        continue;
      }
      runtime::HostCompute().run(work.op());
      const std::vector<float> by_host = values_of(out, stored);
      REQUIRE(by_device.size() == by_host.size());
      for (std::size_t i = 0; i < by_host.size(); ++i) {
        CHECK(std::abs(by_device[i] - by_host[i]) <= (precision == bf16 ? 0.02F : 1e-5F) * std::max(1.0F, std::abs(by_host[i])));
      }
      if (has_choices) continue;
      const std::set<float> results(by_host.begin(), by_host.end());
      CHECK(results.size() > 10);                           // no constant
    }
  }
  CHECK(things_alive() == 0);
}

TEST_CASE("device bench: the file holds what was measured, shares and all, and calibrate's reader takes it") {
  BenchPlan plan = plan_of(one_of_each(bf16));
  plan.copies = {Bytes(1 << 16)};
  plan.beside = {hw::Gemm<Rows>{16, 16, 16, bf16}};
  runtime::CudaBenchOptions options = few_samples();
  options.traffic = {{2, BytesPerSecond(1e9)}};
  plan.kernels.push_back(hw::ResidualAdd<Rows>{4, 16, hw::Precision::fp8});
  BenchResults results = runtime::cuda::run_on_device(plan, options);
  REQUIRE(results.left_out.size() == 1);
  check_contains(results.left_out[0].why, "computes in fp32 and bf16, not in fp8");
  const std::string json = validation::to_json(results, "a test", "2026-11-27T00:00:00Z");
  for (const char* part : {"\"share_of_best\"", "\"share_of_copy_rate\"", "\"left_out\"", "\"method\"", "\"device\": \"host device\"",
                           "\"memory_bytes_per_second\"", "10 warm-ups"}) {
    check_contains(json, part);
  }
  const validation::Measurements read = read_back(results);
  REQUIRE(read.kernels.size() == results.kernels.size());   // copies are not the model's
  for (std::size_t i = 0; i < read.kernels.size(); ++i) {
    CHECK(ir::kernel_json(read.kernels[i].terms.at(0).kernel) == ir::kernel_json(results.kernels[i].kernel));
    CHECK(read.kernels[i].seconds.value() == doctest::Approx(results.kernels[i].seconds.median.value()));
    CHECK(read.kernels[i].concurrent == 1);
  }
  CHECK(read.launch->value() == doctest::Approx(results.launch->median.value()));
  REQUIRE(read.interference.size() == 1);
  CHECK(read.interference[0].communication_sms == 2);
  CHECK(read.interference[0].memory->value() == doctest::Approx(results.interference[0].memory->value()));
  const std::string summary = validation::bench_summary(results);
  check_contains(summary, "the best that cublasLt alone has");
  check_contains(summary, "the rate of a large copy");
}

// share of best = best / own; share of copy = traffic / own time / copy rate: 3 · 8 · 16 · 2 bytes = 768 bytes in 1 µs against 1 GB/s
TEST_CASE("device bench: shares are what they say") {
  BenchResults results;
  results.copy_rate = BytesPerSecond(1e9);
  const runtime::Spread one{Seconds(1e-6), Seconds(1e-6), Seconds(1e-6)}, less{Seconds(0.9e-6), Seconds(0.9e-6), Seconds(0.9e-6)};
  CHECK(validation::share_of_best({hw::Gemm<Rows>{8, 8, 8, bf16}, one, less}) == doctest::Approx(0.9));
  CHECK(*validation::share_of_copy_rate(results, {hw::ResidualAdd<Rows>{8, 16, bf16}, one, {}}) == doctest::Approx(0.768));
  CHECK_FALSE(validation::share_of_copy_rate(results, {hw::Gemm<Rows>{8, 8, 8, bf16}, one, less}).has_value());
}

TEST_CASE("device bench: what exceeds the memory is left out in one line, the rest is timed, with none left nothing starts") {
  const std::size_t all = set_free_memory(std::size_t{1} << 28);
  const BenchPlan plan = plan_of({hw::ResidualAdd<Rows>{1 << 20, 1024, bf16}, hw::ResidualAdd<Rows>{8, 16, bf16}});
  const BenchResults results = runtime::cuda::run_on_device(plan, few_samples());
  REQUIRE(results.kernels.size() == 1);
  REQUIRE(results.left_out.size() == 1);
  CHECK(results.left_out[0].what == ir::kernel_json(plan.kernels[0]));
  check_contains(results.left_out[0].why, "out of device memory: it needs 6.5 GB, and GPU 0 (host device) has 0.3 GB free");
  CHECK(results.left_out[0].why.find('\n') == std::string::npos);
  check_contains(message_of([&] { (void)runtime::cuda::run_on_device(plan_of({plan.kernels[0]}), few_samples()); }),
                 "no micro-benchmark could be run: ");
  set_free_memory(1000);
  check_contains(message_of([&] { (void)runtime::cuda::run_on_device(plan, few_samples()); }), "out of device memory: micro-benchmarks need");
  set_free_memory(all);
  CHECK(things_alive() == 0);
}

TEST_CASE("device bench: what no kernel does is left out and named, a device that fails ends the run at the shape it was at") {
  const hw::Attention<Rows> decode{2, 1, 64, 4, 4, 64, true, bf16}, wide{1, 8, 8, 1, 1, 512, true, bf16};
  const BenchResults results = runtime::cuda::run_on_device(plan_of({decode, wide, hw::ResidualAdd<Rows>{8, 16, bf16}}), few_samples());
  REQUIRE(results.left_out.size() == 2);
  check_contains(results.left_out[0].why, "as many keys as queries");
  check_contains(results.left_out[1].why, "heads of at most 256 elements");
  CHECK(results.kernels.size() == 1);
  runtime::CudaBenchOptions options = few_samples();
  options.say = [](const std::string& what) { set_broken(what.find("rms_norm") != std::string::npos); };
  const std::string why = message_of([&] { (void)runtime::cuda::run_on_device(plan_of(one_of_each(bf16)), options); });
  set_broken(false);
  check_contains(why, "\"kind\": \"rms_norm\"");
  check_contains(why, "an illegal memory access was encountered");
}

TEST_CASE("device bench: EP64_TP2 at full shapes: the plan has its expert rows, widths and sequence, and fits an H100") {
  const auto experiment = validation::load_experiment(std::string(FABRICAST_SOURCE_DIR) + "/configs/experiments/ep64_tp2.json", {});
  const BenchPlan plan = runtime::device_bench_plan_of(validation::plan(experiment).schedule);
  std::set<std::string> shapes;
  for (const hw::Kernel& kernel : plan.kernels) {
    shapes.insert(ir::kernel_json(kernel));
    CHECK(runtime::cuda::DeviceKernel::memory_of(kernel, 4) < Bytes(79'000'000'000));
  }
  // 20,000 tokens a pair, top 2; gate and up side by side, halved by tensor parallelism
  CHECK(shapes.count(ir::kernel_json(hw::GroupedGemm<hw::ExpertRowCounts>{{40000}, 16384, 4096, bf16})) == 1);
  CHECK(shapes.count(ir::kernel_json(hw::GroupedGemm<hw::ExpertRowCounts>{{40000}, 4096, 8192, bf16})) == 1);
  CHECK(shapes.count(ir::kernel_json(hw::Attention<Rows>{2, 10000, 10000, 16, 16, 128, true, bf16})) == 1);
  CHECK(shapes.count(ir::kernel_json(hw::Activation<Rows>{40000, 8192, true, bf16})) == 1);
}

TEST_CASE("collectives of a job: every kind, size and group once, on every process the same") {
  const BenchPlan plan = collectives_of_four();
  runtime::CudaBenchOptions options = few_samples();
  const std::vector<BenchResults> all = run_job(plan, options);
  for (const BenchResults& results : all) {
    CHECK(results.left_out.empty());
    CHECK(results.kernels.empty());
    CHECK_FALSE(results.launch.has_value());
    CHECK(results.ranks == 4);
    REQUIRE(results.collectives.size() == plan.collectives.size());
    for (std::size_t i = 0; i < plan.collectives.size(); ++i) {
      const auto& [bench, seconds] = results.collectives[i];
      CHECK(bench.kind == plan.collectives[i].kind);
      CHECK(bench.size == plan.collectives[i].size);
      CHECK(bench.members == plan.collectives[i].members);
      CHECK(bench.nodes == 1);
      check_spread(seconds);
      CHECK(seconds.median == all[0].collectives[i].seconds.median);
    }
  }
  const validation::Measurements read = read_back(all[0]);
  REQUIRE(read.collectives.size() == plan.collectives.size());
  CHECK(read.collectives[2].gpus_per_node == 4);
  CHECK(read.collectives[2].bytes == Bytes(65536));
  CHECK(things_alive() == 0);
}

TEST_CASE("collectives of a job: what cannot be run is left out on all alike, or ends all with a line") {
  BenchPlan plan = collectives_of_four();
  plan.collectives = {{hw::CollectiveKind::all_reduce, Bytes(4096), 3, 1, bf16}, {hw::CollectiveKind::all_to_all, Bytes(4), 4, 1, bf16},
                      {hw::CollectiveKind::all_gather, Bytes(std::int64_t{1} << 50), 4, 1, bf16},
                      {hw::CollectiveKind::all_gather, Bytes(4096), 4, 1, bf16}};
  const std::vector<BenchResults> all = run_job(plan, few_samples());
  for (const BenchResults& results : all) {
    CHECK(results.collectives.size() == 1);
    REQUIRE(results.left_out.size() == 3);
    check_contains(results.left_out[0].why, "do not cover all ranks evenly");
    check_contains(results.left_out[1].why, "smaller than one element");
    check_contains(results.left_out[2].why, "out of device memory");
  }
  plan.ranks = 5;
  check_contains(message_of([&] { (void)run_job(plan, few_samples()); }), "of 5 ranks and the job has 4 processes");
  check_contains(message_of([&] { (void)run_job(collectives_of_four(), few_samples(), 3); }), "rank 3");
  runtime::CudaBenchOptions impatient = few_samples();
  impatient.patience = Seconds(1e-9);
  check_contains(message_of([&] { (void)run_job(collectives_of_four(), impatient); }), "does not end after 1e-09 s");
  CHECK(things_alive() == 0);
}

}  // namespace fabricast::device_bench_test
