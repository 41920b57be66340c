// Micro-benchmarks: what is timed is the real kernel on real numbers, every kind can be, and a schedule's plan holds the schedule's shapes.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "runtime/bench_plan.hpp"
#include "runtime/host_bench.hpp"
#include "runtime/host_compute.hpp"
#include "runtime/kernel_op.hpp"
#include "strategies/ir/resolve.hpp"
#include "strategies/ir/work_json.hpp"
#include "tests/runtime/one_of_each.hpp"
#include "tests/runtime/tiny.hpp"

namespace fabricast::bench_test {

using namespace fabricast;
using namespace fabricast::tests;
using Rows = std::int64_t;

namespace {

constexpr auto fp32 = hw::Precision::fp32;

void check_spread(const runtime::Spread& s) {
  CHECK(s.p10 > Seconds(0));
  CHECK(s.p10 <= s.median);
  CHECK(s.median <= s.p90);
}

}  // namespace

// Outputs start as not-a-numbers: one that stays was not written.
TEST_CASE("a kernel made for timing computes: every number of its output is written, and finite") {
  for (const hw::Kernel& kernel : one_of_each(fp32)) {
    CAPTURE(ir::kernel_json(kernel));
    const runtime::KernelOp op(kernel, 1);
    runtime::HostCompute().run(op.op());
    const runtime::View& out = op.op().writes.at(0);
    const auto* const values = reinterpret_cast<const float*>(out.data);
    const std::int64_t count = out.rows * out.row_bytes / static_cast<std::int64_t>(sizeof(float));
    CHECK(count > 0);
    for (std::int64_t i = 0; i < count; ++i) REQUIRE(std::isfinite(values[i]));
  }
}

// a + b, element by element
TEST_CASE("its operands are random numbers, not zeros, and differ by seed") {
  const runtime::KernelOp one(hw::ResidualAdd<Rows>{4, 16, fp32}, 1), two(hw::ResidualAdd<Rows>{4, 16, fp32}, 2);
  runtime::HostCompute().run(one.op());
  const auto at = [](const runtime::View& view, int i) { return reinterpret_cast<const float*>(view.data)[i]; };
  std::set<float> different;
  for (int i = 0; i < 64; ++i) {
    CHECK(at(one.op().writes[0], i) == at(one.op().reads[0], i) + at(one.op().reads[1], i));
    different.insert(at(one.op().reads[0], i));
  }
  CHECK(different.size() > 60);
  CHECK(at(one.op().reads[0], 0) != at(two.op().reads[0], 0));
}

TEST_CASE("every kind of kernel is timed, in fp32 and bf16, other precisions are refused") {
  const runtime::HostBench bench(2, 1);
  for (const hw::Precision precision : {fp32, hw::Precision::bf16}) {
    for (const hw::Kernel& kernel : one_of_each(precision)) check_spread(bench.kernel(kernel));
  }
  CHECK_THROWS_AS((void)bench.kernel(hw::ResidualAdd<Rows>{4, 16, hw::Precision::fp8}), runtime::BackendUnavailable);
}

// 64 times the arithmetic: far beyond what noise makes of one.
TEST_CASE("a larger matrix product takes longer") {
  const runtime::HostBench bench(1, 5);
  CHECK(bench.kernel(hw::Gemm<Rows>{512, 128, 128, fp32}).median > 2.0 * bench.kernel(hw::Gemm<Rows>{8, 128, 128, fp32}).median);
}

TEST_CASE("every collective is timed, among two and among four, in groups side by side") {
  const runtime::HostBench bench(1, 2);
  for (const auto kind : {hw::CollectiveKind::all_reduce, hw::CollectiveKind::all_gather, hw::CollectiveKind::reduce_scatter,
                          hw::CollectiveKind::broadcast, hw::CollectiveKind::all_to_all}) {
    for (const std::int32_t members : {2, 4}) check_spread(bench.collective({kind, Bytes(4096), members, 2, fp32}));
  }
  check_spread(bench.collective({hw::CollectiveKind::send, Bytes(4096), 2, 2, fp32}));
}

TEST_CASE("compute beside communication ends, and says what was received meanwhile") {
  const auto result = runtime::HostBench(2, 2).beside(hw::Gemm<Rows>{64, 64, 64, fp32}, Bytes(1 << 16));
  CHECK(result.alone > Seconds(0));
  CHECK(result.beside > Seconds(0));
  CHECK(result.communication > BytesPerSecond(0));
}

TEST_CASE("buffers beyond the machine's memory are refused before they are asked for") {
  CHECK_THROWS_WITH_AS((void)runtime::HostBench(1, 1).copy(Bytes(std::int64_t{1} << 50)), doctest::Contains("and this machine has"),
                       runtime::BackendUnavailable);
}

TEST_CASE("a schedule's plan has each of its kernels once, halves of their rows, and its collectives by group") {
  Job job;
  job.gpus = 8;
  job.strategy.tensor = 2;
  job.strategy.expert = 4;
  const ir::Schedule schedule = schedule_of(job);
  const runtime::BenchPlan plan = runtime::bench_plan_of(schedule, 1000);
  std::set<std::string> planned;
  for (const hw::Kernel& kernel : plan.kernels) CHECK(planned.insert(ir::kernel_json(kernel)).second);
  for (std::int32_t r = 0; r < 8; ++r) {
    for (const ir::Op& op : schedule.program_of(Rank{r}).ops) {
      if (const auto kernel = ir::resolve_kernel(op.work, schedule, Rank{r})) CHECK(planned.count(ir::kernel_json(*kernel)) == 1);
    }
  }
  CHECK(planned.count(ir::kernel_json(hw::RmsNorm<Rows>{8, 32, fp32})) == 1);    // 16 tokens a pair, 8 a rank: the norm's rows …
  CHECK(planned.count(ir::kernel_json(hw::RmsNorm<Rows>{4, 32, fp32})) == 1);    // … and half of them
  CHECK(plan.ranks == 8);
  bool gathers_in_pairs = false, dispatches_among_four = false;
  for (const runtime::CollectiveBench& c : plan.collectives) {
    gathers_in_pairs |= c.kind == hw::CollectiveKind::all_gather && c.members == 2 && c.groups == 4;
    dispatches_among_four |= c.kind == hw::CollectiveKind::all_to_all && c.members == 4 && c.groups == 2;
  }
  CHECK(gathers_in_pairs);
  CHECK(dispatches_among_four);
}

TEST_CASE("of many row counts of one matrix a plan takes the fewest, the most and some between") {
  Job job;
  job.gpus = 8;
  job.strategy.expert = 8;
  job.routing.distribution = strategy::RoutingDistribution::zipf;
  const ir::Schedule schedule = schedule_of(job);
  const auto grouped = [](const runtime::BenchPlan& plan) {
    std::size_t count = 0;
    for (const hw::Kernel& kernel : plan.kernels) count += ir::kind_of(kernel) == "grouped_gemm";
    return count;
  };
  CHECK(grouped(runtime::bench_plan_of(schedule, 2)) == 4);      // gate and up, and down
  CHECK(grouped(runtime::bench_plan_of(schedule, 1000)) > 4);
}

TEST_CASE("the usual shapes of a GPU: every kind of kernel, each shape once, in memory that an H100 has, collectives by powers of two") {
  const runtime::BenchPlan plan = runtime::device_bench_plan(12, hw::Precision::bf16);
  std::set<std::string> shapes, kinds;
  for (const hw::Kernel& kernel : plan.kernels) {
    CHECK(shapes.insert(ir::kernel_json(kernel)).second);
    kinds.insert(std::string(ir::kind_of(kernel)));
    CHECK(runtime::KernelOp::memory_of(kernel) < Bytes(40'000'000'000));
  }
  std::set<std::string> all;
  for (const hw::Kernel& kernel : one_of_each(hw::Precision::bf16)) all.insert(std::string(ir::kind_of(kernel)));
  CHECK(kinds == all);
  REQUIRE(plan.beside.size() == 3);                        // a product, an attention, a pass
  CHECK(hw::flop(plan.beside[0]) > Flop(0));
  CHECK(ir::kind_of(plan.beside[1]) == "attention");
  CHECK(hw::flop(plan.beside[2]) == Flop(0));
  std::map<hw::CollectiveKind, std::set<std::int32_t>> members;
  for (const runtime::CollectiveBench& c : plan.collectives) {
    members[c.kind].insert(c.members);
    CHECK(c.members * c.groups == 12);
  }
  CHECK(members[hw::CollectiveKind::all_reduce] == std::set<std::int32_t>{2, 4, 12});
  CHECK(members[hw::CollectiveKind::send] == std::set<std::int32_t>{2});
  CHECK(runtime::device_bench_plan(1, hw::Precision::bf16).collectives.empty());
}

// Tensor groups are neighbours; the members of an expert group with equal tensor index are two ranks apart.
TEST_CASE("on GPUs a schedule's groups lie where its ranks do") {
  Job job;
  job.gpus = 8;
  job.strategy.tensor = 2;
  job.strategy.expert = 4;
  std::set<std::tuple<std::string, std::int32_t, std::int32_t>> groups;
  for (const runtime::CollectiveBench& c : runtime::device_bench_plan_of(schedule_of(job)).collectives) {
    groups.insert({std::string(hw::name_of(c.kind)), c.members, c.stride});
  }
  CHECK(groups.count({"all_gather", 2, 1}) == 1);
  CHECK(groups.count({"all_to_all", 4, 2}) == 1);
  CHECK(groups.count({"all_to_all", 4, 1}) == 0);
}

// group = rank / (members · stride) · stride + rank mod stride: every group has each member index once
TEST_CASE("ranks are dealt to groups: each group has every member once") {
  for (const auto& [members, stride] : {std::pair{2, 1}, {2, 4}, {4, 2}, {8, 1}, {4, 1}}) {
    std::set<std::pair<std::int32_t, std::int32_t>> places;
    for (std::int32_t r = 0; r < 8; ++r) {
      runtime::CollectiveBench bench{hw::CollectiveKind::all_reduce, Bytes(64), members, 8 / members, fp32, stride};
      CHECK(bench.group_of(Rank{r}) < 8 / members);
      CHECK(bench.member_of(Rank{r}) < members);
      CHECK(places.insert({bench.group_of(Rank{r}), bench.member_of(Rank{r})}).second);
    }
  }
  const runtime::CollectiveBench apart{hw::CollectiveKind::all_reduce, Bytes(64), 2, 4, fp32, 4};
  CHECK(apart.group_of(Rank{1}) == apart.group_of(Rank{5}));
}

TEST_CASE("a collective takes as long as its slowest member, in each group and sample") {
  const runtime::CollectiveBench apart{hw::CollectiveKind::all_reduce, Bytes(64), 2, 2, fp32, 2};   // ranks 0 and 2, 1 and 3
  const std::vector<Seconds> slowest =
      runtime::slowest_members(apart, {{Seconds(1), Seconds(5)}, {Seconds(2), Seconds(6)}, {Seconds(3), Seconds(4)}, {Seconds(1), Seconds(7)}});
  CHECK(slowest == std::vector<Seconds>{Seconds(3), Seconds(5), Seconds(2), Seconds(7)});
}

}  // namespace fabricast::bench_test
