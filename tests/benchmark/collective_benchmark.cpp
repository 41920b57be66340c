// One collective from resolved sizes to the last end: plan, routes, flows. Building the schedule and matching its ops are not in it.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "sim/simulate.hpp"
#include "strategies/ir/split_mix.hpp"
#include "tests/hardware_models/test_cluster.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

using namespace fabricast;

namespace {

hw::ClusterSpec cluster_of(std::int64_t gpus) {
  hw::ClusterSpec cluster = tests::h100_16x8();
  cluster.nodes = gpus / 8;
  cluster.gpu = tests::ideal_cluster(1, 8).gpu;
  cluster.collectives = tests::ideal_collectives();
  return cluster;
}

/// Every rank sends 156 rows to each rank of its group of `positions`: 20,000 in all among 128, as in the EP64_TP2 guide.
ir::RoutingShape routing_shape(std::int32_t ranks, std::int32_t positions) {
  return {.layers = 1, .sources = ranks, .experts = positions, .top_k = 2, .expert_positions = positions, .tokens = 78 * positions};
}

/// One token more per rank than deals evenly: sizes that differ by a row.
ir::RoutingShape uneven_shape(std::int32_t ranks) {
  ir::RoutingShape shape = routing_shape(ranks, ranks);
  ++shape.tokens;
  return shape;
}

/// Rows per pair times U(0.5, 1.5), rescaled to what the source sends.
std::vector<std::uint32_t> skewed_counts(const ir::RoutingShape& shape) {
  std::vector<std::uint32_t> counts;
  ir::SplitMix64 bits(1);
  for (std::int32_t source = 0; source < shape.sources; ++source) {
    std::vector<std::int64_t> drawn;
    std::int64_t sum = 0;
    for (std::int32_t expert = 0; expert < shape.experts; ++expert) sum += drawn.emplace_back(500 + bits.below(1000));
    std::int64_t left = shape.tokens * shape.top_k;
    for (const std::int64_t weight : drawn) {
      counts.push_back(static_cast<std::uint32_t>(shape.tokens * shape.top_k * weight / sum));
      left -= counts.back();
    }
    for (std::int64_t i = 0; i < left; ++i) ++counts[counts.size() - 1 - static_cast<std::size_t>(i % shape.experts)];
  }
  return counts;
}

ir::Schedule all_to_all(const ir::RoutingShape& shape, ir::RoutingPlan plan) {
  const std::int32_t ranks = shape.sources, positions = shape.expert_positions;
  std::vector<ir::Replicas> hosts;
  for (std::int32_t expert = 0; expert < positions; ++expert) hosts.push_back({{expert}});
  plan.place_experts({hosts}, {});
  ir::HandMade made = ir::ExpertGrid{.positions = positions, .expert_tensor = 1, .replicas = ranks / positions}.make(std::move(plan));
  made.op(1, ir::AllToAll{ir::AllToAll::Direction::dispatch, {}, 8192});
  return made.schedule();
}

ir::Schedule all_to_all(std::int32_t ranks, std::int32_t positions, bool skewed) {
  const ir::RoutingShape shape = routing_shape(ranks, positions);
  return all_to_all(shape, skewed ? ir::RoutingPlan::from_counts(shape, 1, skewed_counts(shape)) : ir::RoutingPlan::uniform(shape, 1));
}

void run(benchmark::State& state, const ir::Schedule& schedule, sim::Fidelity fidelity) {
  const hw::ClusterSpec cluster = cluster_of(static_cast<std::int64_t>(schedule.ranks.size()));
  const hw::Topology topology(cluster);
  const sim::CostModel cost = sim::cost_model(cluster);
  const ir::Instances instances = ir::match_instances(schedule);
  sim::SimulationResult result;
  for (auto _ : state) result = sim::simulate(schedule, instances, topology, cost, {.fidelity = fidelity});
  state.counters["events"] = static_cast<double>(result.events);
  state.counters["classes"] = static_cast<double>(result.classes);
}

void uniform_all_to_all_of(benchmark::State& state) {
  const auto ranks = static_cast<std::int32_t>(state.range(0));
  run(state, all_to_all(ranks, ranks, false), sim::Fidelity::flow);
}
BENCHMARK(uniform_all_to_all_of)->Arg(128)->Arg(1024)->Arg(4096)->Unit(benchmark::kMillisecond);

void uneven_all_to_all_of(benchmark::State& state) {
  const ir::RoutingShape shape = uneven_shape(static_cast<std::int32_t>(state.range(0)));
  run(state, all_to_all(shape, ir::RoutingPlan::uniform(shape, 1)), sim::Fidelity::flow);
}
BENCHMARK(uneven_all_to_all_of)->Arg(128)->Arg(1024)->Unit(benchmark::kMillisecond);

void skewed_all_to_all_of(benchmark::State& state) {
  const auto ranks = static_cast<std::int32_t>(state.range(0));
  run(state, all_to_all(ranks, ranks, true), state.range(1) != 0 ? sim::Fidelity::flow_exact : sim::Fidelity::flow);
}
BENCHMARK(skewed_all_to_all_of)->Args({128, 0})->Args({128, 1})->ArgNames({"ranks", "exact"})->Unit(benchmark::kMillisecond);

void all_to_all_in_groups_of_64(benchmark::State& state) {
  run(state, all_to_all(static_cast<std::int32_t>(state.range(0)), 64, state.range(1) != 0), sim::Fidelity::flow);
}
BENCHMARK(all_to_all_in_groups_of_64)->Args({4096, 0})->Args({4096, 1})->ArgNames({"ranks", "skewed"})->Unit(benchmark::kMillisecond);

void two_level_all_reduce(benchmark::State& state) {
  const auto ranks = static_cast<std::int32_t>(state.range(0));
  ir::HandMade made(ranks);
  std::vector<std::int32_t> members;
  for (std::int32_t rank = 0; rank < ranks; ++rank) members.push_back(rank);
  made.group(ir::Axis::data, members);
  made.op(1, ir::collective(hw::CollectiveKind::all_reduce, ir::Axis::data, std::int64_t{1} << 29));
  run(state, made.schedule(), sim::Fidelity::flow);
}
BENCHMARK(two_level_all_reduce)->Arg(4096)->Unit(benchmark::kMillisecond);

}  // namespace
