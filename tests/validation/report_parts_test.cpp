#include "validation/report_parts.hpp"

#include <doctest/doctest.h>

#include "tests/validation/observed_step.hpp"

namespace fabricast::report_parts_test {

using namespace fabricast;
using namespace fabricast::validation;
using fabricast::tests::picoseconds;

// compute + exposed + idle = step; 0 <= overlap <= 1; Σ ops busy = compute; Σ exposed by class = exposed; waiting <= idle.
TEST_CASE("a report's times satisfy their identities on random traces") {
  ir::SplitMix64 random(11);
  const hw::GpuCostModel gpu(tests::test_gpu());
  for (int i = 0; i < 200; ++i) {
    const ir::Schedule schedule = tests::random_schedule(1 + static_cast<std::int32_t>(random.below(4)), random.below(30), random);
    const ir::Trace trace = tests::random_trace(schedule, 1'000'000, random);
    const ir::Instances instances = ir::match_instances(schedule);
    const OpClasses classes(schedule, instances);
    const TimeAccount time = account_time(schedule, trace, classes, ir::each_rank(schedule));
    const ComputationAccount computation = account_computation(schedule, trace, classes, ScheduleFacts(schedule, gpu), ir::each_rank(schedule));
    const TimeSpan span = step_of(trace);
    const auto step = static_cast<double>((span.end - span.start).value());
    const TimeSummary& total = time.total;
    CHECK(picoseconds(total.compute_busy + total.communication_exposed + total.idle) == doctest::Approx(step).epsilon(1e-12));
    CHECK(total.communication_exposed <= total.communication_busy);
    CHECK(total.waiting <= total.idle);
    CHECK(total.overlap_fraction >= 0);
    CHECK(total.overlap_fraction <= 1);
    Seconds ops, exposed;
    for (const OpSummary& op : computation.ops) ops += op.busy;
    for (const Seconds share : time.exposed) exposed += share;
    CHECK(picoseconds(ops) == doctest::Approx(picoseconds(total.compute_busy)).epsilon(1e-12));
    CHECK(picoseconds(exposed) == doctest::Approx(picoseconds(total.communication_exposed)).epsilon(1e-12));
  }
}

// Two ranks: gemm 2·10·20·30 = 12,000 FLOP each, busy 4 and 6 ps -> mean 5 ps.
TEST_CASE("computation is averaged over ranks by label, and the floor is the busiest rank's") {
  ir::Schedule schedule = tests::tensor_group(2);
  tests::add_gemm(schedule, 10, 20, 30);
  tests::add_gemm(schedule, 10, 20, 30);
  ir::Trace trace;
  trace.ops = {{{SimTime(0), SimTime(0), SimTime(4)}, {SimTime(4), SimTime(4), SimTime(8)}},
               {{SimTime(0), SimTime(0), SimTime(6)}, {SimTime(6), SimTime(6), SimTime(12)}}};
  const ir::Instances instances = ir::match_instances(schedule);
  const hw::GpuCostModel gpu(tests::test_gpu());
  const ComputationAccount account =
      account_computation(schedule, trace, OpClasses(schedule, instances), ScheduleFacts(schedule, gpu), ir::each_rank(schedule));
  REQUIRE(account.ops.size() == 1);
  CHECK(account.ops[0].label == "mlp");
  CHECK(account.ops[0].kind == "gemm");
  CHECK(account.ops[0].count == 2);
  CHECK(picoseconds(account.ops[0].busy) == doctest::Approx(10));
  CHECK(account.ops[0].flop == Flop(24'000));
  CHECK(account.ops[0].bytes == 2 * 2 * (10 * 30 + 30 * 20 + 10 * 20));
  CHECK(account.model_flop == Flop(48'000));
  CHECK(picoseconds(account.at_peak) == doctest::Approx(24'000));
  CHECK(picoseconds(account.roofline) == doctest::Approx(2 * 2200 * 1e3));  // 2,200 B each at 1 GB/s is longer than 12 ns
}

// all-gather of S = 2 · 5 · 64 B = 640 B, from the first start 10 ps to the last end 40 ps; nccl-tests: busbw = S/t · (n-1)/n.
TEST_CASE("a collective lasts from its first member's start to its last member's end") {
  ir::Schedule schedule = tests::tensor_group(2);
  tests::add_gather(schedule, 5, 64);
  ir::Trace trace;
  trace.ops = {{{SimTime(0), SimTime(10), SimTime(30)}}, {{SimTime(10), SimTime(10), SimTime(40)}}};
  const ir::Instances instances = ir::match_instances(schedule);
  const OpClasses classes(schedule, instances);
  const TimeAccount time = account_time(schedule, trace, classes, ir::each_rank(schedule));
  sim::SimulationResult result;
  result.instances = tests::intervals_of(instances, trace, Seconds(20e-12));
  const auto summaries = summarize_collectives(schedule, instances, result, classes, time, ir::each_rank(schedule));
  REQUIRE(summaries.size() == 1);
  CHECK(summaries[0].label == "gather");
  CHECK(summaries[0].kind == "all_gather");
  CHECK(summaries[0].axis == "tensor");
  CHECK(summaries[0].count == 1);
  CHECK(summaries[0].members == 2);
  CHECK(summaries[0].bytes == 640);
  CHECK(picoseconds(summaries[0].time) == doctest::Approx(30));
  CHECK(summaries[0].ratio_to_floor == doctest::Approx(1.5));
  CHECK(summaries[0].algorithm_bandwidth.value() == doctest::Approx(640 / 30e-12));
  CHECK(summaries[0].bus_bandwidth.value() == doctest::Approx(320 / 30e-12));
  CHECK(picoseconds(summaries[0].busy) == doctest::Approx(25));
}

// utilisation = bytes / (bandwidth · step): 50 B over 100 B/s in 1 s is a half; the floor is the longest time at full rate.
TEST_CASE("links are summed by kind, and the hottest come first") {
  const std::vector<hw::Link> links{{hw::LinkKind::nvlink, BytesPerSecond(100), {}, {}, {}, "a"},
                                    {hw::LinkKind::nvlink, BytesPerSecond(100), {}, {}, {}, "b"},
                                    {hw::LinkKind::fabric, BytesPerSecond(50), {}, {}, {}, "c"}};
  const std::vector<Bytes> carried{Bytes(20), Bytes(50), Bytes(40)};
  const LinkAccount account = account_links(links, carried, Seconds(1));
  CHECK(account.by_kind.at("nvlink").bytes == 70);
  CHECK(account.by_kind.at("nvlink").mean_utilization == doctest::Approx(0.35));
  CHECK(account.by_kind.at("nvlink").max_utilization == doctest::Approx(0.5));
  CHECK(account.by_kind.at("infiniband").bytes == 0);
  CHECK(account.by_kind.at("fabric").max_utilization == doctest::Approx(0.8));
  REQUIRE(account.hottest.size() == 3);
  CHECK(account.hottest[0].name == "c");
  CHECK(account.hottest[1].name == "b");
  CHECK(account.floor.value() == doctest::Approx(0.8));
}

TEST_CASE("an empty schedule takes no time and divides by nothing") {
  const ir::Schedule schedule = tests::tensor_group(2);
  ir::Trace trace;
  trace.ops.resize(2);
  const ir::Instances instances = ir::match_instances(schedule);
  const OpClasses classes(schedule, instances);
  const TimeAccount time = account_time(schedule, trace, classes, ir::each_rank(schedule));
  CHECK(step_of(trace).end == step_of(trace).start);
  CHECK(time.total.idle == Seconds(0));
  CHECK(time.total.overlap_fraction == 0);
  CHECK(summarize_expert_load(schedule, ir::classes_by_size(schedule)).imbalance == 1.0);
}

}  // namespace fabricast::report_parts_test
