#include "strategies/ir/rank_classes.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "strategies/ir/resolve.hpp"
#include "tests/strategies/ir/hand_made.hpp"

namespace fabricast::ir::rank_classes_test {

namespace {

constexpr RoutingShape shape{.layers = 2, .micro_batches = 2, .chunks = 2, .sources = 16, .experts = 8, .top_k = 2, .expert_positions = 4, .tokens = 61};

/// Every kind of size, in every step of the plan.
Schedule sized_by(RoutingPlan plan) {
  HandMade made = ExpertGrid{.positions = 4, .expert_tensor = 2, .replicas = 2}.make(std::move(plan));
  for (std::int32_t layer = 0; layer < shape.layers; ++layer) {
    for (std::int32_t micro_batch = 0; micro_batch < shape.micro_batches; ++micro_batch) {
      for (std::int32_t chunk = 0; chunk < shape.chunks; ++chunk) {
        const RoutingStep step{layer, micro_batch, chunk};
        made.op(0, hw::RmsNorm<Extent>{{Extent::Of::rows_received, 3, step}, 8, hw::Precision::bf16});
        made.op(0, hw::GroupedGemm<ExpertRows>{{step}, 16, 8, hw::Precision::bf16});
        made.op(1, AllToAll{AllToAll::Direction::dispatch, step, 16});
        made.buffer({Extent::Of::rows_sent, 1, step});
        made.buffer({Extent::Of::expert_rows, 2, step});
        made.buffer({Extent::Of::hosted_experts, 1, step});
      }
    }
  }
  return made.schedule();
}

bool same_sizes(const Schedule& schedule, Rank a, Rank b) {
  for (std::int32_t layer = 0; layer < shape.layers; ++layer) {
    for (std::int32_t micro_batch = 0; micro_batch < shape.micro_batches; ++micro_batch) {
      for (std::int32_t chunk = 0; chunk < shape.chunks; ++chunk) {
        const RoutingStep step{layer, micro_batch, chunk};
        if (evaluate(ExpertRows{step}, schedule, a) != evaluate(ExpertRows{step}, schedule, b)) return false;
        for (const auto of : {Extent::Of::rows_sent, Extent::Of::rows_received, Extent::Of::hosted_experts}) {
          if (evaluate(Extent{of, 1, step}, schedule, a) != evaluate(Extent{of, 1, step}, schedule, b)) return false;
        }
      }
    }
  }
  return true;
}

RoutingPlan drawn() {
  std::vector<std::uint32_t> counts;
  const std::size_t blocks = 2 * 2 * 16 * 2;
  for (std::size_t block = 0; block < blocks; ++block) {
    for (std::uint32_t e = 0; e < 8; ++e) counts.push_back(block < blocks / 2 ? 7 : static_cast<std::uint32_t>((block + e) % 8));
  }
  RoutingPlan plan = RoutingPlan::from_counts(shape, 1, std::move(counts));
  std::vector<Replicas> hosts;
  for (std::int32_t e = 0; e < 8; ++e) hosts.push_back({{e / 2}});
  plan.place_experts({hosts, hosts}, {});
  return plan;
}

}  // namespace

// 61 tokens · 2 over 8 experts: 15 or 16 rows each, so that some ranks are alike and some are not.
TEST_CASE("ranks are in one class exactly where all that their program asks of the plan has the same answer") {
  for (const Schedule& schedule : {sized_by(block_plan(shape)), sized_by(drawn())}) {
    const RankClasses classes = classes_by_size(schedule);
    REQUIRE(classes.of.size() == 16);
    CHECK(classes.size() > 1);
    CHECK(classes.size() < 16);
    for (std::int32_t a = 0; a < 16; ++a) {
      for (std::int32_t b = 0; b < a; ++b) CHECK((classes.at(Rank{a}) == classes.at(Rank{b})) == same_sizes(schedule, Rank{a}, Rank{b}));
    }
  }
}

TEST_CASE("ranks of different programs are in different classes, and classes are numbered by their first ranks") {
  HandMade made(4);
  made.own_program(1);
  made.schedule().ranks[3].program = ProgramId{1};
  const RankClasses classes = classes_by_size(made.schedule());
  CHECK(classes.of == std::vector<std::int32_t>{0, 1, 0, 1});
  CHECK(classes.representatives == std::vector<Rank>{Rank{0}, Rank{1}});
  const RankClasses finer = refine(classes, std::vector<std::int32_t>{5, 5, 5, 2});
  CHECK(finer.of == std::vector<std::int32_t>{0, 1, 0, 2});
  CHECK(finer.representatives == std::vector<Rank>{Rank{0}, Rank{1}, Rank{3}});
  CHECK(each_rank(made.schedule()).size() == 4);
}

}  // namespace fabricast::ir::rank_classes_test
