// Small schedules for tests, made by hand. Knows no strategy.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

inline Extent rows(std::int64_t count) { return Extent::constant(count); }

/// Computation that touches nothing but what its slices say.
inline Work compute(std::int64_t count = 1) { return hw::RmsNorm<Extent>{rows(count), 8, hw::Precision::bf16}; }

inline BufferSlice whole(BufferId buffer) { return {buffer, rows(0), std::nullopt}; }
inline BufferSlice slice(BufferId buffer, std::int64_t first, std::int64_t count) { return {buffer, rows(first), rows(count)}; }

inline Collective collective(hw::CollectiveKind kind, Axis axis, std::int64_t shard) {
  return {kind, axis, rows(shard), 2, hw::CollectiveAlgorithm::automatic};
}

class HandMade {
 public:
  explicit HandMade(std::int32_t ranks) {
    schedule_.labels = {"scope", "op"};
    schedule_.programs.push_back(empty_program("program 0"));
    for (std::int32_t r = 0; r < ranks; ++r) {
      RankBinding binding{};
      binding.program = ProgramId{0};
      binding.gpu = GpuId{r};
      binding.source = r;
      schedule_.ranks.push_back(binding);
    }
  }

  /// A further program for one rank.
  void own_program(std::int32_t rank) {
    schedule_.programs.push_back(empty_program("program " + std::to_string(schedule_.programs.size())));
    schedule_.ranks[static_cast<std::size_t>(rank)].program = ProgramId{static_cast<std::int32_t>(schedule_.programs.size()) - 1};
  }

  GroupId group(Axis axis, const std::vector<std::int32_t>& members) {
    const GroupId id{static_cast<std::int32_t>(schedule_.groups.size())};
    Group group{axis, {}};
    for (const std::int32_t rank : members) {
      RankBinding& binding = schedule_.ranks[static_cast<std::size_t>(rank)];
      binding.groups[static_cast<std::size_t>(axis)] = id;
      binding.members[static_cast<std::size_t>(axis)] = static_cast<std::int32_t>(group.members.size());
      group.members.push_back(Rank{rank});
    }
    schedule_.groups.push_back(std::move(group));
    return id;
  }

  BufferId buffer(Extent size, BufferKind kind = BufferKind::activations, std::int64_t row_bytes = 1, std::size_t program = 0) {
    auto& buffers = schedule_.programs[program].buffers;
    buffers.push_back({LabelId{1}, kind, size, row_bytes, {}});
    return BufferId{static_cast<std::int32_t>(buffers.size()) - 1};
  }

  OpIndex op(std::int32_t stream, Work work, std::vector<OpIndex> after = {}, std::vector<BufferSlice> reads = {},
             std::vector<BufferSlice> writes = {}, std::size_t program = 0) {
    auto& ops = schedule_.programs[program].ops;
    ops.push_back({StreamId{stream}, std::move(work), std::move(after), std::move(reads), std::move(writes), LabelId{1}, LabelId{0}, {}});
    return OpIndex{static_cast<std::int32_t>(ops.size()) - 1};
  }
  OpIndex op_of(std::size_t program, std::int32_t stream, Work work) { return op(stream, std::move(work), {}, {}, {}, program); }

  [[nodiscard]] Schedule& schedule() { return schedule_; }

 private:
  static Program empty_program(std::string name) { return {std::move(name), {"compute", "one", "two"}, {}, {}}; }

  Schedule schedule_;
};

/// Ranks in expert groups: rank = expert_tensor + T · (expert + P · replica), a group of T being also a tensor group. One empty program.
struct ExpertGrid {
  std::int32_t positions = 1, expert_tensor = 1, replicas = 1;
  bool replicated_input = false;   // every tensor rank dispatches for its whole tensor group

  [[nodiscard]] std::int32_t ranks() const { return positions * expert_tensor * replicas; }

  [[nodiscard]] HandMade make(RoutingPlan plan) const {
    HandMade made(ranks());
    for (std::int32_t replica = 0; replica < replicas; ++replica) {
      for (std::int32_t t = 0; t < expert_tensor; ++t) made.group(Axis::expert, expert_group(replica, t));
      for (std::int32_t p = 0; p < positions; ++p) {
        made.group(Axis::expert_tensor, pair(replica, p));
        made.group(Axis::tensor, pair(replica, p));
      }
    }
    if (replicated_input) {
      for (RankBinding& binding : made.schedule().ranks) {
        binding.source -= binding.source % expert_tensor;
        binding.sources_dispatched = expert_tensor;
      }
    }
    made.schedule().routing = std::move(plan);
    return made;
  }

 private:
  [[nodiscard]] std::vector<std::int32_t> expert_group(std::int32_t replica, std::int32_t t) const {
    std::vector<std::int32_t> members;
    for (std::int32_t p = 0; p < positions; ++p) members.push_back(t + expert_tensor * (p + positions * replica));
    return members;
  }
  [[nodiscard]] std::vector<std::int32_t> pair(std::int32_t replica, std::int32_t p) const {
    std::vector<std::int32_t> members;
    for (std::int32_t t = 0; t < expert_tensor; ++t) members.push_back(t + expert_tensor * (p + positions * replica));
    return members;
  }
};

/// A uniform plan with experts in equal runs over the positions.
inline RoutingPlan block_plan(RoutingShape shape, std::uint64_t seed = 1) {
  RoutingPlan plan = RoutingPlan::uniform(shape, seed);
  std::vector<Replicas> hosts;
  for (std::int32_t e = 0; e < shape.experts; ++e) hosts.push_back({{e * shape.expert_positions / shape.experts}});
  plan.place_experts(std::vector(static_cast<std::size_t>(shape.layers), hosts), {});
  return plan;
}

}  // namespace fabricast::ir
