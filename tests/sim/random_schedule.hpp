// Random schedules that cannot deadlock: all ranks of a stage run one program, all stages use the same streams in the same order.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tests/sim/random.hpp"
#include "tests/sim/replays.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::tests {

/// Up to four nodes of up to four GPUs of any fabric, with latencies and efficiencies.
inline hw::ClusterSpec random_cluster(Random& random) {
  hw::ClusterSpec cluster = ideal_cluster(random.between(1, 4), random.between(1, 4));
  cluster.fabric.kind = random.chance(50) ? hw::FabricKind::rail_optimized : hw::FabricKind::fat_tree;
  cluster.fabric.nodes_per_leaf = cluster.fabric.kind == hw::FabricKind::fat_tree && cluster.nodes % 2 == 0 ? 2 : cluster.nodes;
  cluster.fabric.spines = random.between(1, 3);
  cluster.fabric.oversubscription = random.chance(50) ? 1.0 : 2.0;
  if (random.chance(50)) return cluster;
  cluster.node.nvlink_latency = Seconds(1e-6);
  cluster.fabric.nic_latency = Seconds(3e-6);
  cluster.fabric.switch_latency = Seconds(1e-6);
  for (const hw::CollectiveKind kind : every_kind) {
    cluster.collectives.base_latency[kind] = Seconds(1e-6 * static_cast<double>(random.between(0, 10)));
    cluster.collectives.network_efficiency[kind] = 0.9;
    cluster.collectives.nvlink_efficiency[kind] = {{2, 0.7}, {4, 0.8}};
  }
  return cluster;
}

/// A seeded schedule over all GPUs of a cluster. Groups of axis tensor are runs of neighbours, of axis data the strides across them; the
/// expert axis holds all ranks; ranks pair up along the pipeline axis. Ranks lie on the GPUs in random order.
class RandomSchedule {
 public:
  RandomSchedule(Random& random, std::int64_t gpus) : random_(random), ranks_(static_cast<std::int32_t>(gpus)), made_(ranks_) {
    shuffle_gpus();
    form_groups();
    route();
    const std::int64_t steps = random_.between(1, 12);
    for (std::int64_t i = 0; i < steps; ++i) add_step();
  }
  RandomSchedule(const RandomSchedule&) = delete;
  RandomSchedule& operator=(const RandomSchedule&) = delete;

  [[nodiscard]] ir::Schedule& schedule() { return made_.schedule(); }

 private:
  void shuffle_gpus() {
    auto& ranks = made_.schedule().ranks;
    for (std::size_t i = ranks.size(); i > 1; --i) {
      std::swap(ranks[i - 1].gpu, ranks[static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(i) - 1))].gpu);
    }
  }

  void form_groups() {
    std::int32_t tensor = static_cast<std::int32_t>(random_.between(1, ranks_));
    while (ranks_ % tensor != 0) --tensor;
    for (std::int32_t first = 0; first < ranks_; first += tensor) made_.group(ir::Axis::tensor, strided(first, 1, tensor));
    for (std::int32_t first = 0; first < tensor; ++first) made_.group(ir::Axis::data, strided(first, tensor, ranks_ / tensor));
    made_.group(ir::Axis::expert, strided(0, 1, ranks_));
    if (ranks_ % 2 != 0) return;
    made_.schedule().programs.push_back(made_.schedule().programs.front());  // even ranks send where odd ones receive
    for (std::int32_t first = 0; first < ranks_; first += 2) {
      made_.group(ir::Axis::pipeline, {first, first + 1});
      made_.schedule().ranks[static_cast<std::size_t>(first) + 1].program = ir::ProgramId{1};
    }
  }

  static std::vector<std::int32_t> strided(std::int32_t first, std::int32_t stride, std::int32_t count) {
    std::vector<std::int32_t> members;
    for (std::int32_t i = 0; i < count; ++i) members.push_back(first + i * stride);
    return members;
  }

  /// Skewed rows with many zeros; expert e at position e.
  void route() {
    const ir::RoutingShape shape{
        .layers = 2, .sources = ranks_, .experts = ranks_, .top_k = ranks_, .expert_positions = ranks_, .tokens = 200};
    std::vector<std::uint32_t> counts;
    for (std::int32_t i = 0; i < 2 * ranks_ * ranks_; ++i) {
      counts.push_back(random_.chance(30) ? 0 : static_cast<std::uint32_t>(random_.between(1, random_.chance(10) ? 200 : 20)));
    }
    auto plan = ir::RoutingPlan::from_counts(shape, 1, std::move(counts));
    std::vector<ir::Replicas> hosts;
    for (std::int32_t e = 0; e < ranks_; ++e) hosts.push_back({{e}});
    plan.place_experts({hosts, hosts}, {});
    made_.schedule().routing = std::move(plan);
  }

  void add_step() {
    const auto stream = static_cast<std::int32_t>(random_.between(0, 2));
    switch (random_.between(0, 4)) {
      case 0: return add(0, ir::compute(random_.between(0, 100'000)));
      case 1:
      case 2: return add(stream, random_collective());
      case 3: return add(stream, random_all_to_all());
      default: return add_message(stream);
    }
  }

  ir::Work random_collective() {
    const auto kind = every_kind[static_cast<std::size_t>(random_.between(0, 3))];
    const auto axis = random_.chance(50) ? ir::Axis::tensor : ir::Axis::data;
    const auto algorithm = random_.chance(50) ? hw::CollectiveAlgorithm::ring : hw::CollectiveAlgorithm::automatic;
    return ir::Collective{kind, axis, ir::rows(random_.chance(10) ? 0 : random_.between(1, 100'000)), random_.between(1, 100), algorithm};
  }

  ir::Work random_all_to_all() {
    const auto direction = random_.chance(50) ? ir::AllToAll::Direction::dispatch : ir::AllToAll::Direction::combine;
    return ir::AllToAll{direction, {static_cast<std::int32_t>(random_.between(0, 1)), 0, 0}, 512, hw::CollectiveAlgorithm::automatic};
  }

  void add_message(std::int32_t stream) {
    if (ranks_ % 2 != 0) return;
    const auto size = ir::rows(random_.between(0, 1'000'000));
    const auto after = random_edges();
    made_.op(stream, ir::Send{ir::Axis::pipeline, 1, 0, size, 3}, after, {}, {}, 0);
    made_.op(stream, ir::Recv{ir::Axis::pipeline, 0, 0, size, 3}, after, {}, {}, 1);
    ++ops_;
  }

  void add(std::int32_t stream, const ir::Work& work) {
    const auto after = random_edges();
    for (std::size_t program = 0; program < made_.schedule().programs.size(); ++program) made_.op(stream, work, after, {}, {}, program);
    ++ops_;
  }

  std::vector<ir::OpIndex> random_edges() {
    std::vector<ir::OpIndex> edges;
    for (std::int32_t op = 0; op < ops_; ++op) {
      if (random_.chance(20)) edges.push_back(ir::OpIndex{op});
    }
    return edges;
  }

  Random& random_;
  std::int32_t ranks_;
  ir::HandMade made_;
  std::int32_t ops_ = 0;   // of each program
};

}  // namespace fabricast::tests
