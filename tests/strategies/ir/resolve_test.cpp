#include "strategies/ir/resolve.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "tests/strategies/ir/hand_made.hpp"
#include "tests/strategies/ir/random_plans.hpp"

namespace fabricast::ir::resolve_test {

namespace {

using Of = Extent::Of;

Rank rank(std::int32_t value) { return Rank{value}; }

Op op_with(Work work) { return {StreamId{1}, std::move(work), {}, {}, {}, LabelId{1}, LabelId{0}, {}}; }

Op all_to_all(AllToAll::Direction direction, RoutingStep step, std::int64_t row_bytes) {
  return op_with(AllToAll{direction, step, row_bytes});
}

Bytes sum(const std::vector<Bytes>& counts) { return std::accumulate(counts.begin(), counts.end(), Bytes{}); }

/// 4 expert positions with 2 experts each, pairs of expert-tensor ranks, 8 sources of 12 tokens, top 2.
RoutingShape guide_like_shape() {
  RoutingShape s;
  s.layers = 1, s.sources = 8, s.experts = 8, s.top_k = 2, s.expert_positions = 4, s.tokens = 12;
  return s;
}

/// A grid whose expert positions and sources fit a random plan.
HandMade random_schedule(std::uint64_t seed, bool replicated_input) {
  SplitMix64 random(seed);
  const std::int32_t pair = between(random, 1, 3), replicas = between(random, 1, 2);
  RoutingShape shape = random_shape(random);
  shape.sources = shape.expert_positions * pair * replicas;
  RandomPlan plan{RoutingPlan::uniform(shape, seed), {}, {}};
  place_at_random(plan, random);
  return ExpertGrid{shape.expert_positions, pair, replicas, replicated_input}.make(plan.plan);
}

}  // namespace

// Uniform and divisible, T tensor ranks: each source sends t·k rows and receives as many; the experts' pair computes T·t·k.
TEST_CASE("sharded input: a rank sends and receives its own rows, its pair computes both ranks'") {
  Schedule s = ExpertGrid{4, 2, 1, false}.make(block_plan(guide_like_shape())).schedule();
  for (std::int32_t r = 0; r < 8; ++r) {
    CHECK(evaluate({Of::rows_sent, 1, {}}, s, rank(r)) == 24);
    CHECK(evaluate({Of::rows_received, 1, {}}, s, rank(r)) == 24);
    CHECK(evaluate({Of::expert_rows, 1, {}}, s, rank(r)) == 48);
    CHECK(evaluate({Of::hosted_experts, 5, {}}, s, rank(r)) == 10);  // scale 5 · 2 experts
    CHECK(evaluate(ExpertRows{}, s, rank(r)) == hw::ExpertRowCounts{24, 24});
  }
}

// Every tensor rank sends all T·t·k rows of its tensor group, and computes what it receives.
TEST_CASE("replicated input: a rank sends its whole tensor group's rows and computes what it receives") {
  Schedule s = ExpertGrid{4, 2, 1, true}.make(block_plan(guide_like_shape())).schedule();
  for (std::int32_t r = 0; r < 8; ++r) {
    CHECK(evaluate({Of::rows_sent, 1, {}}, s, rank(r)) == 48);
    CHECK(evaluate({Of::rows_received, 1, {}}, s, rank(r)) == 48);
    CHECK(evaluate({Of::expert_rows, 1, {}}, s, rank(r)) == 48);
    CHECK(evaluate(ExpertRows{}, s, rank(r)) == hw::ExpertRowCounts{24, 24});
  }
}

// Σ rows_sent = Σ rows_received over an expert group; Σ over experts of ExpertRows = expert_rows; sharding the input or not, experts
// compute the same.
TEST_CASE("rows are conserved from senders to experts, whatever the plan") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    HandMade sharded = random_schedule(seed, false), replicated = random_schedule(seed, true);
    for_each_block(sharded.schedule().routing.shape(), [&](RoutingStep step, std::int32_t source) {
      if (source > 0) return;
      for (const Schedule* s : {&sharded.schedule(), &replicated.schedule()}) {
        std::int64_t sent = 0, received = 0;
        for (std::size_t r = 0; r < s->ranks.size(); ++r) {
          const Rank self = rank(static_cast<std::int32_t>(r));
          sent += evaluate({Of::rows_sent, 1, step}, *s, self);
          received += evaluate({Of::rows_received, 1, step}, *s, self);
          const auto by_expert = evaluate(ExpertRows{step}, *s, self);
          CHECK(by_expert.size() == static_cast<std::size_t>(evaluate({Of::hosted_experts, 1, step}, *s, self)));
          CHECK(std::accumulate(by_expert.begin(), by_expert.end(), std::int64_t{0}) == evaluate({Of::expert_rows, 1, step}, *s, self));
          CHECK(by_expert == evaluate(ExpertRows{step}, sharded.schedule(), self));
        }
        CHECK(sent == received);
      }
    });
  }
}

// counts[s · n + d]: rows sum to what s sends, columns to what d receives; combine is the transpose.
TEST_CASE("all-to-all counts have the senders' rows and the receivers' columns, and combine turns them round") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (const bool replicated : {false, true}) {
      HandMade made = random_schedule(seed, replicated);
      const Schedule& s = made.schedule();
      const RoutingStep step{0, 0, 0};
      for (std::int32_t r = 0; r < static_cast<std::int32_t>(s.ranks.size()); ++r) {
        const auto dispatch = resolve_collective(s, rank(r), all_to_all(AllToAll::Direction::dispatch, step, 6));
        const auto combine = resolve_collective(s, rank(r), all_to_all(AllToAll::Direction::combine, step, 6));
        const std::size_t n = dispatch.members.size();
        CHECK(dispatch.kind == hw::CollectiveKind::all_to_all);
        CHECK(dispatch.members == s.group_of(rank(r), Axis::expert).members);
        REQUIRE(dispatch.counts.size() == n * n);
        CHECK(dispatch.size == sum(dispatch.counts) / static_cast<std::int64_t>(n));
        for (std::size_t i = 0; i < n; ++i) {
          Bytes row, column;
          for (std::size_t j = 0; j < n; ++j) {
            row += dispatch.counts[i * n + j];
            column += dispatch.counts[j * n + i];
            CHECK(combine.counts[j * n + i] == dispatch.counts[i * n + j]);
          }
          CHECK(row == Bytes(6 * evaluate({Of::rows_sent, 1, step}, s, dispatch.members[i])));
          CHECK(column == Bytes(6 * evaluate({Of::rows_received, 1, step}, s, dispatch.members[i])));
        }
      }
    }
  }
}

TEST_CASE("briefly, an all-to-all whose members are of few kinds has a table of the same counts, any other the counts") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    HandMade made = random_schedule(seed, false);
    for (const auto direction : {AllToAll::Direction::dispatch, AllToAll::Direction::combine}) {
      const Op op = all_to_all(direction, {0, 0, 0}, 6);
      const auto full = resolve_collective(made.schedule(), rank(0), op), brief = resolve_briefly(made.schedule(), rank(0), op);
      const auto other = [&](Bytes bytes) { return bytes != full.counts.front(); };
      if (std::none_of(full.counts.begin(), full.counts.end(), other)) CHECK(brief.table);
      CHECK(brief.counts.empty() == brief.table.has_value());
      CHECK((brief.table ? hw::counts_of(*brief.table) : brief.counts) == full.counts);
      CHECK(brief.size == full.size);
      CHECK(brief.members == full.members);
    }
  }
  Schedule even = ExpertGrid{4, 2, 1, false}.make(block_plan(guide_like_shape())).schedule();
  CHECK(resolve_briefly(even, rank(1), all_to_all(AllToAll::Direction::dispatch, {0, 0, 0}, 10)).table == hw::equal_pieces(4, Bytes(60)));
  const Op gather = op_with(collective(hw::CollectiveKind::all_gather, Axis::tensor, 10));
  CHECK(resolve_briefly(even, rank(0), gather).counts == resolve_collective(even, rank(0), gather).counts);
}

// 24 rows a source over 16 experts: one each, and one more for eight experts from 8 times the source on. Of 20 rows there are four starts, of
// 22 eight: more than a kind for every eight members.
TEST_CASE("rows dealt in a cycle make as few kinds as the cycle has starts, where the group is large enough for them") {
  for (const std::int64_t tokens : {10, 12, 11}) {
    RoutingShape shape = guide_like_shape();
    shape.sources = shape.experts = shape.expert_positions = 16;
    shape.top_k = 2;
    shape.tokens = tokens;
    Schedule s = ExpertGrid{16, 1, 1, false}.make(block_plan(shape)).schedule();
    for (const auto direction : {AllToAll::Direction::dispatch, AllToAll::Direction::combine}) {
      const Op op = all_to_all(direction, {0, 0, 0}, 6);
      const auto full = resolve_collective(s, rank(0), op), brief = resolve_briefly(s, rank(0), op);
      REQUIRE(brief.table.has_value() == (tokens == 12));   // 24 rows: two starts
      if (!brief.table) continue;
      CHECK(brief.table->senders == 2);
      CHECK(brief.table->receivers == 2);
      CHECK(hw::counts_of(*brief.table) == full.counts);
      CHECK(brief.size == full.size);
    }
  }
}

TEST_CASE("all-gather and reduce-scatter count each member's own shard and size the whole") {
  RoutingShape shape = guide_like_shape();
  shape.tokens = 5;  // 10 rows over 8 experts: ranks receive unequal numbers
  Schedule s = ExpertGrid{4, 2, 1, false}.make(block_plan(shape)).schedule();
  bool unequal = false;
  for (const auto kind : {hw::CollectiveKind::all_gather, hw::CollectiveKind::reduce_scatter}) {
    const Op op = op_with(Collective{kind, Axis::expert_tensor, {Of::rows_received, 1, {}}, 4});
    for (std::int32_t first = 0; first < 8; first += 2) {
      const auto resolved = resolve_collective(s, rank(first), op);
      REQUIRE(resolved.counts.size() == 2);
      for (std::int32_t m = 0; m < 2; ++m) {
        CHECK(resolved.counts[static_cast<std::size_t>(m)] == Bytes(4 * evaluate({Of::rows_received, 1, {}}, s, rank(first + m))));
      }
      CHECK(resolved.size == Bytes(4 * evaluate({Of::expert_rows, 1, {}}, s, rank(first))));
      unequal = unequal || resolved.counts[0] != resolved.counts[1];
    }
  }
  CHECK(unequal);
}

TEST_CASE("all-reduce and broadcast count the full tensor once") {
  HandMade made(3);
  made.group(Axis::tensor, {2, 0, 1});
  for (const auto kind : {hw::CollectiveKind::all_reduce, hw::CollectiveKind::broadcast}) {
    const auto resolved = resolve_collective(made.schedule(), rank(2), op_with(collective(kind, Axis::tensor, 10)));
    CHECK(resolved.counts == std::vector{Bytes(20)});
    CHECK(resolved.size == Bytes(20));
    CHECK(resolved.members == std::vector{rank(2), rank(0), rank(1)});
    CHECK(resolved.axis == Axis::tensor);
  }
}

TEST_CASE("a message has its source first, asked from either end") {
  HandMade made(2);
  made.group(Axis::pipeline, {1, 0});
  const auto sent = resolve_collective(made.schedule(), rank(1), op_with(Send{Axis::pipeline, 1, 0, rows(7), 3}));
  const auto received = resolve_collective(made.schedule(), rank(0), op_with(Recv{Axis::pipeline, 0, 0, rows(7), 3}));
  for (const auto& resolved : {sent, received}) {
    CHECK(resolved.kind == hw::CollectiveKind::send);
    CHECK(resolved.members == std::vector{rank(1), rank(0)});
    CHECK(resolved.counts == std::vector{Bytes(21)});
    CHECK(resolved.size == Bytes(21));
  }
}

TEST_CASE("a kernel keeps its shape and gets its rows from the plan") {
  Schedule s = ExpertGrid{4, 2, 1, false}.make(block_plan(guide_like_shape())).schedule();
  const Extent sent{Of::rows_sent, 1, {}};
  const auto p = hw::Precision::bf16;
  const auto permute = resolve_kernel(hw::Permute<Extent>{sent, 16, p, hw::RowOrder::by_arrival}, s, rank(0));
  CHECK(std::get<hw::Permute<std::int64_t>>(*permute).rows == 24);
  CHECK(std::get<hw::Permute<std::int64_t>>(*permute).order == hw::RowOrder::by_arrival);
  const auto gemm = std::get<hw::GroupedGemm<hw::ExpertRowCounts>>(*resolve_kernel(hw::GroupedGemm<ExpertRows>{{}, 32, 16, p}, s, rank(3)));
  CHECK(gemm.rows == hw::ExpertRowCounts{24, 24});
  CHECK(gemm.n == 32);
  CHECK(gemm.k == 16);
  const auto weighted =
      std::get<hw::WeightedSum<std::int64_t>>(*resolve_kernel(hw::WeightedSum<Extent>{rows(12), sent, 16, p}, s, rank(0)));
  CHECK(weighted.tokens == 12);
  CHECK(weighted.rows == 24);
  const auto attention =
      std::get<hw::Attention<std::int64_t>>(*resolve_kernel(hw::Attention<Extent>{rows(2), 3, 4, 5, 6, 7, true, p}, s, rank(0)));
  CHECK(attention.sequences == 2);
  CHECK(attention.query_length == 3);
  CHECK(attention.kv_length == 4);
  CHECK(attention.heads == 5);
  CHECK(attention.kv_heads == 6);
  CHECK(attention.head_dim == 7);
  CHECK(attention.causal);
  const auto rope = std::get<hw::Rope<std::int64_t>>(*resolve_kernel(hw::Rope<Extent>{rows(2), 8, p, 4, 16}, s, rank(0)));
  CHECK(rope.head_dim == 4);
  CHECK(rope.sequence_length == 16);
  CHECK_FALSE(resolve_kernel(collective(hw::CollectiveKind::all_gather, Axis::tensor, 1), s, rank(0)).has_value());
  CHECK_THROWS_AS((void)resolve_collective(s, rank(0), op_with(compute())), std::logic_error);
}

TEST_CASE("work depends on the rank where a size comes from the routing plan") {
  CHECK_FALSE(depends_on_rank(compute()));
  CHECK_FALSE(depends_on_rank(collective(hw::CollectiveKind::all_gather, Axis::tensor, 1)));
  CHECK(depends_on_rank(hw::Permute<Extent>{{Of::rows_sent, 1, {}}, 16, hw::Precision::bf16}));
  CHECK(depends_on_rank(hw::WeightedSum<Extent>{rows(1), {Of::rows_sent, 1, {}}, 16, hw::Precision::bf16}));
  CHECK(depends_on_rank(hw::GroupedGemm<ExpertRows>{{}, 1, 1, hw::Precision::bf16}));
  CHECK(depends_on_rank(AllToAll{AllToAll::Direction::dispatch, {}, 2}));
}

TEST_CASE("a buffer takes rows times row bytes") {
  Schedule s = ExpertGrid{4, 2, 1, false}.make(block_plan(guide_like_shape())).schedule();
  CHECK(bytes_of({LabelId{0}, BufferKind::dispatch, {Of::rows_sent, 1, {}}, 10, {}}, s, rank(0)) == Bytes(240));
  CHECK(bytes_of({LabelId{0}, BufferKind::expert_weights, {Of::hosted_experts, 16, {}}, 10, {}}, s, rank(0)) == Bytes(320));
}

}  // namespace fabricast::ir::resolve_test
