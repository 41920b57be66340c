#include "tests/runtime/conformance.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "hardware_models/collectives.hpp"
#include "strategies/ir/memory_plan.hpp"
#include "strategies/ir/resolve.hpp"
#include "strategies/ir/validate.hpp"

namespace fabricast::tests {
namespace {

Rank rank_of(std::size_t index) { return Rank{static_cast<std::int32_t>(index)}; }
ir::OpIndex op_of(std::size_t index) { return ir::OpIndex{static_cast<std::int32_t>(index)}; }

/// Bytes of all transfers of the flat, ring or hierarchical form. Every form but the last moves the same between members, ring all-reduce
/// 2(n-1)·S.
Bytes lowered_bytes(const ir::ResolvedCollective& c, const std::vector<NodeId>& node_of) {
  const bool pairwise = c.kind == hw::CollectiveKind::all_to_all || c.kind == hw::CollectiveKind::send;
  auto algorithm = pairwise ? hw::CollectiveAlgorithm::flat : hw::CollectiveAlgorithm::ring;
  std::vector<NodeId> nodes(c.members.size(), NodeId{0});
  if (c.algorithm == hw::CollectiveAlgorithm::hierarchical && !node_of.empty()) {
    for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i] = node_of[c.members[i].index()];
    if (hw::applies(c.kind, c.algorithm, nodes)) algorithm = c.algorithm;
  }
  Bytes sum;
  for (const hw::Phase& phase : hw::lower(c.kind, algorithm, nodes, c.counts)) {
    for (const hw::Transfer& transfer : phase.transfers) sum += transfer.bytes;
  }
  return sum;
}

void check_stream_order(const ir::Schedule& schedule, Rank rank, const ir::Trace& trace) {
  const auto& ops = schedule.program_of(rank).ops;
  std::vector<SimTime> stream_free(schedule.program_of(rank).streams.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    INFO(ir::describe(schedule, rank, op_of(i)));
    const ir::OpInterval& interval = trace.at(rank, op_of(i));
    CHECK(interval.end > SimTime{});
    CHECK(interval.issued <= interval.start);
    CHECK(interval.start <= interval.end);
    CHECK(interval.issued >= stream_free[ops[i].stream.index()]);
    for (const ir::OpIndex earlier : ops[i].after) CHECK(interval.issued >= trace.at(rank, earlier).end);
    stream_free[ops[i].stream.index()] = interval.end;
  }
}

}  // namespace

RunCounts no_runs(const ir::Schedule& schedule) {
  RunCounts counts;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) counts.emplace_back(schedule.program_of(rank_of(r)).ops.size());
  return counts;
}

void check_counts(const ir::Schedule& schedule, const RunCounts& counts, int steps) {
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    const auto& ops = schedule.program_of(rank_of(r)).ops;
    for (std::size_t i = 0; i < ops.size(); ++i) wrong += counts[r][i] != (ir::communicates(ops[i].work) ? 0 : steps);
  }
  CHECK(wrong == 0);
}

void check_order(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& trace) {
  REQUIRE(trace.ops.size() == schedule.ranks.size());
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    REQUIRE(trace.ops[r].size() == schedule.program_of(rank_of(r)).ops.size());
    check_stream_order(schedule, rank_of(r), trace);
  }
  for (const ir::Instance& instance : instances.all) {
    SimTime last_issued;
    for (const ir::InstanceMember& m : instance.members) last_issued = std::max(last_issued, trace.at(m.rank, m.op).issued);
    for (const ir::InstanceMember& m : instance.members) {
      CHECK(trace.at(m.rank, m.op).start >= last_issued);
      CHECK(trace.at(m.rank, m.op).start == trace.at(instance.members[0].rank, instance.members[0].op).start);
    }
  }
}

void check_bytes(const ir::Schedule& schedule, const runtime::MeasuredRun& run, const std::vector<NodeId>& node_of) {
  REQUIRE(run.moved.size() == run.instances.all.size());
  for (std::size_t i = 0; i < run.moved.size(); ++i) {
    const ir::InstanceMember& first = run.instances.all[i].members.front();
    const ir::Op& op = schedule.program_of(first.rank).ops[first.op.index()];
    INFO(ir::describe(schedule, first.rank, first.op));
    CHECK(run.moved[i] == lowered_bytes(ir::resolve_collective(schedule, first.rank, op), node_of));
  }
}

void check_memory(const ir::Schedule& schedule, const runtime::MeasuredRun& run) {
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) CHECK(run.arena[r] == ir::plan_memory(schedule, rank_of(r)).peak);
}

}  // namespace fabricast::tests
