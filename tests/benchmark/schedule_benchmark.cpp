// Building the guide's schedule: emission, validation, matching of instances, and the memory plan of one rank.
#include <benchmark/benchmark.h>

#include "hardware_models/topology.hpp"
#include "strategies/build.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/memory_plan.hpp"
#include "tests/hardware_models/test_cluster.hpp"
#include "tests/strategies/guide.hpp"

using namespace fabricast;

namespace {

strategy::StrategySpec chunked(std::int64_t chunks) {
  strategy::StrategySpec spec = tests::guide_strategy();
  spec.overlap_chunks = chunks;
  return spec;
}

ir::Schedule build(std::int64_t chunks, const hw::Topology& topology) {
  return strategy::build_schedule(tests::guide_model(), tests::guide_workload(), chunked(chunks), {}, topology);
}

/// Ops of all ranks per second.
void count_ops(benchmark::State& state, const ir::Schedule& schedule) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(schedule.ranks.size() * schedule.programs[0].ops.size()));
}

void build_and_validate(benchmark::State& state) {
  const hw::Topology topology(tests::h100_16x8());
  for (auto _ : state) benchmark::DoNotOptimize(build(state.range(0), topology));
  count_ops(state, build(state.range(0), topology));
}
BENCHMARK(build_and_validate)->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond);

void match_instances(benchmark::State& state) {
  const ir::Schedule schedule = build(state.range(0), hw::Topology(tests::h100_16x8()));
  for (auto _ : state) benchmark::DoNotOptimize(ir::match_instances(schedule));
  count_ops(state, schedule);
}
BENCHMARK(match_instances)->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond);

void plan_memory_of_one_rank(benchmark::State& state) {
  const ir::Schedule schedule = build(state.range(0), hw::Topology(tests::h100_16x8()));
  for (auto _ : state) benchmark::DoNotOptimize(ir::plan_memory(schedule, Rank{0}));
}
BENCHMARK(plan_memory_of_one_rank)->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond);

}  // namespace
