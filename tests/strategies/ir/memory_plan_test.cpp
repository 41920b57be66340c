#include "strategies/ir/memory_plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "strategies/ir/happens_before.hpp"
#include "strategies/ir/split_mix.hpp"
#include "strategies/ir/validate.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::ir::memory_plan_test {

namespace {

bool pinned(BufferKind kind) { return is_parameter(kind) || kind == BufferKind::input; }

std::vector<OpIndex> users(const Program& program, std::size_t buffer) {
  std::vector<OpIndex> result;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    for (const auto* slices : {&program.ops[i].reads, &program.ops[i].writes}) {
      for (const BufferSlice& s : *slices) {
        if (s.buffer.index() == buffer) result.push_back(OpIndex{static_cast<std::int32_t>(i)});
      }
    }
  }
  return result;
}

/// The slow truth: may the two hold data at the same time in some execution?
bool may_coexist(const Program& program, const HappensBefore& order, std::size_t a, std::size_t b) {
  if (pinned(program.buffers[a].kind) || pinned(program.buffers[b].kind)) return true;
  bool a_first = true, b_first = true;
  for (const OpIndex use_a : users(program, a)) {
    for (const OpIndex use_b : users(program, b)) {
      a_first = a_first && order.ordered(use_a, use_b);
      b_first = b_first && order.ordered(use_b, use_a);
    }
  }
  return !a_first && !b_first;
}

/// Ops on three streams that read buffers written before and write one of their own; edges as a builder would draw them, from the last
/// writer of what is read.
Schedule random_schedule(std::uint64_t seed) {
  SplitMix64 random(seed);
  HandMade made(1);
  made.group(Axis::tensor, {0});
  std::vector<BufferId> buffers{made.buffer(rows(100), BufferKind::input), made.buffer(rows(300), BufferKind::dense_weights)};
  std::vector<OpIndex> writer;
  for (int i = 0; i < 40; ++i) {
    const BufferId out = made.buffer(rows(random.below(5) == 0 ? 0 : random.below(2000)));
    std::vector<BufferSlice> reads;
    std::vector<OpIndex> after;
    for (int r = 0; r < 2; ++r) {
      const std::size_t recent = buffers.size() - 1 - random.below(static_cast<std::uint32_t>(std::min<std::size_t>(buffers.size(), 5)));
      reads.push_back(whole(buffers[recent]));
      if (recent >= 2) after.push_back(writer[recent - 2]);
    }
    const auto stream = static_cast<std::int32_t>(random.below(3));
    const Work work = stream == 0 ? compute() : Work(collective(hw::CollectiveKind::all_reduce, Axis::tensor, 1));
    writer.push_back(made.op(stream, work, after, reads, {whole(out)}));
    buffers.push_back(out);
  }
  return made.schedule();
}

MemoryPlan plan_of(HandMade& made) { return plan_memory(made.schedule(), Rank{0}); }

}  // namespace

// A chain x0 -> x1 -> … needs its two largest neighbours at once.
TEST_CASE("a chain of equal buffers needs two of them") {
  HandMade made(1);
  BufferId in = made.buffer(rows(1024));
  made.op(0, compute(), {}, {}, {whole(in)});
  for (int i = 0; i < 10; ++i) {
    const BufferId out = made.buffer(rows(1024));
    made.op(0, compute(), {}, {whole(in)}, {whole(out)});
    in = out;
  }
  const MemoryPlan plan = plan_of(made);
  CHECK(plan.peak == Bytes(2048));
  CHECK(plan.live_peak == Bytes(2048));
  for (std::size_t b = 0; b < plan.offsets.size(); ++b) CHECK(plan.offsets[b] == Bytes(b % 2 == 0 ? 0 : 1024));
}

TEST_CASE("parameters and inputs keep their memory, used or not, and lie below what is shared") {
  HandMade made(1);
  const BufferId weights = made.buffer(rows(1000), BufferKind::dense_weights), input = made.buffer(rows(10), BufferKind::input);
  (void)made.buffer(rows(5), BufferKind::norm_weights);
  const BufferId a = made.buffer(rows(100)), b = made.buffer(rows(100)), c = made.buffer(rows(100));
  made.op(0, compute(), {}, {whole(weights), whole(input)}, {whole(a)});
  made.op(0, compute(), {}, {whole(a)}, {whole(b)});
  made.op(0, compute(), {}, {whole(b)}, {whole(c)});
  const MemoryPlan plan = plan_of(made);
  CHECK(plan.offsets == std::vector{Bytes(0), Bytes(1024), Bytes(1280), Bytes(1536), Bytes(1792), Bytes(1536)});
  CHECK(plan.sizes == std::vector{Bytes(1000), Bytes(10), Bytes(5), Bytes(100), Bytes(100), Bytes(100)});
  CHECK(plan.peak == Bytes(1892));
  CHECK(plan.live_peak == Bytes(1215));
  CHECK(plan.at_peak == std::map<BufferKind, Bytes>{{BufferKind::dense_weights, Bytes(1000)}, {BufferKind::input, Bytes(10)},
                                                    {BufferKind::norm_weights, Bytes(5)}, {BufferKind::activations, Bytes(200)}});
}

// a's reader runs on stream 1; b is written later in program order, on stream 0, yet may run first unless an edge forbids it.
TEST_CASE("memory is reused after an edge, not after program order alone") {
  for (const bool edge : {false, true}) {
    HandMade made(1);
    made.group(Axis::tensor, {0});
    const BufferId a = made.buffer(rows(256)), sent = made.buffer(rows(256)), b = made.buffer(rows(256));
    const OpIndex write = made.op(0, compute(), {}, {}, {whole(a)});
    const OpIndex read = made.op(1, collective(hw::CollectiveKind::all_reduce, Axis::tensor, 1), {write}, {whole(a)}, {whole(sent)});
    made.op(0, compute(), edge ? std::vector{read} : std::vector<OpIndex>{}, {}, {whole(b)});
    const MemoryPlan plan = plan_of(made);
    CHECK((plan.offsets[a.index()] == plan.offsets[b.index()]) == edge);
    CHECK(plan.peak == Bytes(edge ? 512 : 768));
    CHECK(plan.live_peak == Bytes(512));
  }
}

TEST_CASE("an op's output never takes the memory of its input") {
  HandMade made(1);
  const BufferId a = made.buffer(rows(256)), b = made.buffer(rows(256));
  made.op(0, compute(), {}, {}, {whole(a)});
  made.op(0, compute(), {}, {whole(a)}, {whole(b)});
  const MemoryPlan plan = plan_of(made);
  CHECK(plan.offsets[0] != plan.offsets[1]);
  CHECK(plan.peak == Bytes(512));
}

TEST_CASE("a freed gap is taken by the first buffer that fits") {
  HandMade made(1);
  const BufferId a = made.buffer(rows(512)), keep = made.buffer(rows(256)), large = made.buffer(rows(600)), small = made.buffer(rows(512));
  made.op(0, compute(), {}, {}, {whole(a)});
  made.op(0, compute(), {}, {whole(a)}, {whole(keep)});
  made.op(0, compute(), {}, {whole(keep)}, {whole(large)});
  made.op(0, compute(), {}, {whole(keep), whole(large)}, {whole(small)});
  const MemoryPlan plan = plan_of(made);
  CHECK(plan.offsets[keep.index()] == Bytes(512));
  CHECK(plan.offsets[large.index()] == Bytes(768));  // 600 do not fit below keep
  CHECK(plan.offsets[small.index()] == Bytes(0));    // 512 do
  CHECK(plan.peak == Bytes(768 + 600));
  CHECK(plan.live_peak == Bytes(256 + 600 + 512));
}

TEST_CASE("a rank's plan follows its own share of the routing") {
  RoutingShape shape;
  shape.layers = 1, shape.sources = 2, shape.experts = 2, shape.top_k = 1, shape.expert_positions = 2, shape.tokens = 1024;
  RoutingPlan plan = RoutingPlan::from_counts(shape, 1, {1024, 0, 768, 256});
  plan.place_experts({{Replicas{{0}}, Replicas{{1}}}}, {});
  HandMade made = ExpertGrid{2, 1, 1, false}.make(std::move(plan));
  const BufferId in = made.buffer({Extent::Of::rows_received, 1, {}}, BufferKind::dispatch, 2);
  made.op(0, compute(), {}, {}, {whole(in)});
  CHECK(plan_memory(made.schedule(), Rank{0}).peak == Bytes(2 * 1792));
  CHECK(plan_memory(made.schedule(), Rank{1}).peak == Bytes(2 * 256));
}

TEST_CASE("buffers that may hold data at once share no byte, and the peak covers what is alive") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Schedule schedule = random_schedule(seed);
    REQUIRE_NOTHROW(validate(schedule));
    const Program& program = schedule.programs[0];
    const HappensBefore order(program);
    const MemoryPlan plan = plan_memory(schedule, Rank{0});
    Bytes end, all;
    for (std::size_t a = 0; a < program.buffers.size(); ++a) {
      CHECK(plan.offsets[a].value() % 256 == 0);
      end = std::max(end, plan.offsets[a] + plan.sizes[a]);
      all += plan.sizes[a];
      for (std::size_t b = 0; b < a; ++b) {
        if (plan.sizes[a] == Bytes{} || plan.sizes[b] == Bytes{} || !may_coexist(program, order, a, b)) continue;
        const bool apart = plan.offsets[a] + plan.sizes[a] <= plan.offsets[b] || plan.offsets[b] + plan.sizes[b] <= plan.offsets[a];
        CHECK(apart);
      }
    }
    CHECK(plan.peak == end);
    CHECK(plan.peak >= plan.live_peak);
    CHECK(plan.live_peak < all);
    Bytes by_kind;
    for (const auto& [kind, bytes] : plan.at_peak) by_kind += bytes;
    CHECK(by_kind == plan.live_peak);
  }
}

// live_peak by definition: the most, over ops, of the bytes between first and last use, plus the pinned ones.
TEST_CASE("live_peak is what an op-by-op count finds") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Schedule schedule = random_schedule(seed);
    const Program& program = schedule.programs[0];
    const MemoryPlan plan = plan_memory(schedule, Rank{0});
    Bytes most;
    for (std::size_t i = 0; i < program.ops.size(); ++i) {
      Bytes live;
      for (std::size_t b = 0; b < program.buffers.size(); ++b) {
        const auto uses = users(program, b);
        const bool alive = pinned(program.buffers[b].kind) || (!uses.empty() && uses.front().index() <= i && i <= uses.back().index());
        if (alive) live += plan.sizes[b];
      }
      most = std::max(most, live);
    }
    CHECK(plan.live_peak == most);
  }
}

}  // namespace fabricast::ir::memory_plan_test
