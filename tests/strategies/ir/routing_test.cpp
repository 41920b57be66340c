#include "strategies/ir/routing.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <vector>

#include "tests/strategies/ir/random_plans.hpp"

namespace fabricast::ir::routing_test {

namespace {

RoutingShape small_shape() {
  RoutingShape shape;
  shape.layers = 2;
  shape.micro_batches = 3;
  shape.chunks = 2;
  shape.sources = 5;
  shape.experts = 7;
  shape.top_k = 3;
  shape.expert_positions = 7;
  shape.tokens = 11;
  return shape;
}

std::vector<std::vector<Replicas>> one_copy_each(const RoutingShape& shape) {
  std::vector<std::vector<Replicas>> hosts(static_cast<std::size_t>(shape.layers));
  for (auto& layer : hosts) {
    for (std::int32_t e = 0; e < shape.experts; ++e) layer.push_back({{e * shape.expert_positions / shape.experts}});
  }
  return hosts;
}

struct Spread {
  std::int64_t least, most;
};

Spread spread(const std::vector<std::int64_t>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {*least, *most};
}

/// The definition: slot j goes to expert j mod experts.
std::int64_t rows_by_definition(const RoutingShape& s, RoutingStep step, std::int32_t source, std::int32_t expert) {
  std::int64_t slot = (static_cast<std::int64_t>(step.micro_batch) * s.sources + source) * s.tokens * s.top_k;
  std::int64_t rows = 0;
  for (std::int64_t token = 0; token < s.tokens; ++token) {
    const bool in_chunk = step.chunk * s.tokens / s.chunks <= token && token < (step.chunk + 1) * s.tokens / s.chunks;
    for (std::int32_t choice = 0; choice < s.top_k; ++choice, ++slot) rows += in_chunk && slot % s.experts == expert ? 1 : 0;
  }
  return rows;
}

}  // namespace

TEST_CASE("uniform counts are the cyclic deal that the definition counts slot by slot") {
  const RoutingShape s = small_shape();
  const RoutingPlan plan = RoutingPlan::uniform(s, 1);
  for_each_block(s, [&](RoutingStep step, std::int32_t source) {
    for (std::int32_t e = 0; e < s.experts; ++e) CHECK(plan.rows(step, source, e) == rows_by_definition(s, step, source, e));
  });
}

// Each source's rows by expert, and each expert's rows over all sources, differ by at most 1.
TEST_CASE("uniform counts that do not divide differ by at most one") {
  const RoutingShape s = small_shape();
  const RoutingPlan plan = RoutingPlan::uniform(s, 1);
  for (std::int32_t m = 0; m < s.micro_batches; ++m) {
    std::vector<std::int64_t> expert_total(static_cast<std::size_t>(s.experts), 0);
    for (std::int32_t source = 0; source < s.sources; ++source) {
      std::vector<std::int64_t> of_source(static_cast<std::size_t>(s.experts), 0);
      for (std::int32_t c = 0; c < s.chunks; ++c) {
        for (std::size_t e = 0; e < of_source.size(); ++e) of_source[e] += plan.rows({0, m, c}, source, static_cast<std::int32_t>(e));
      }
      CHECK(spread(of_source).most - spread(of_source).least <= 1);
      for (std::size_t e = 0; e < of_source.size(); ++e) expert_total[e] += of_source[e];
    }
    CHECK(spread(expert_total).most - spread(expert_total).least <= 1);
    CHECK(spread(expert_total).least == s.sources * s.tokens * s.top_k / s.experts);
  }
}

TEST_CASE("chunks cut a shard at c * tokens / chunks and lose nothing") {
  RoutingShape s = small_shape();
  s.chunks = 4;
  const RoutingPlan plan = RoutingPlan::uniform(s, 1);
  CHECK(plan.tokens_of(0).first == 0);
  for (std::int32_t c = 0; c < s.chunks; ++c) CHECK(plan.tokens_of(c).last == (c + 1) * s.tokens / s.chunks);
  for (std::int32_t c = 1; c < s.chunks; ++c) CHECK(plan.tokens_of(c).first == plan.tokens_of(c - 1).last);
}

TEST_CASE("counts over chunks add up to those of the unchunked plan, copies included") {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const RandomPlan chunked = random_uniform_plan(seed);
    RoutingShape whole_shape = chunked.plan.shape();
    whole_shape.chunks = 1;
    RoutingPlan whole = RoutingPlan::uniform(whole_shape, seed);
    whole.place_experts(chunked.hosts, chunked.nearest);
    for_each_block(whole_shape, [&](RoutingStep step, std::int32_t source) {
      for (std::int32_t p = 0; p < whole_shape.expert_positions; ++p) {
        std::int64_t sum = 0;
        for (std::int32_t c = 0; c < chunked.plan.shape().chunks; ++c)
          sum += chunked.plan.rows_to({step.layer, step.micro_batch, c}, source, p);
        CHECK(sum == whole.rows_to(step, source, p));
      }
    });
  }
}

// Row sums: over positions, rows_to = rows_sent. Column sums: over positions, rows(expert, position) = rows(expert).
TEST_CASE("no row is lost or made on the way to the copies of its expert") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const RandomPlan random = seed % 2 == 0 ? random_uniform_plan(seed) : random_counted_plan(seed);
    const RoutingPlan& plan = random.plan;
    const RoutingShape& s = plan.shape();
    for_each_block(s, [&](RoutingStep step, std::int32_t source) {
      std::int64_t sent = 0, of_experts = 0;
      std::vector<std::int64_t> at_once(static_cast<std::size_t>(s.expert_positions), 1);
      plan.add_rows_to(step, source, at_once);
      for (std::int32_t p = 0; p < s.expert_positions; ++p) {
        const std::int64_t to = plan.rows_to(step, source, p);
        std::int64_t by_expert = 0;
        for (const std::int32_t e : plan.hosted(step.layer, p)) by_expert += plan.rows(step, source, e, p);
        CHECK(to == by_expert);
        CHECK(at_once[static_cast<std::size_t>(p)] == 1 + to);
        sent += to;
      }
      for (std::int32_t e = 0; e < s.experts; ++e) {
        std::int64_t over_positions = 0;
        for (std::int32_t p = 0; p < s.expert_positions; ++p) over_positions += plan.rows(step, source, e, p);
        CHECK(over_positions == plan.rows(step, source, e));
        of_experts += over_positions;
      }
      CHECK(sent == plan.rows_sent(step, source));
      CHECK(of_experts == plan.rows_sent(step, source));
    });
  }
}

// Sources that may choose among the same m copies load them equally, to within one row.
TEST_CASE("copies that the same sources choose among get equal rows to within one") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const RandomPlan random = seed % 2 == 0 ? random_uniform_plan(seed) : random_counted_plan(seed);
    const RoutingShape& s = random.plan.shape();
    for (std::int32_t layer = 0; layer < s.layers; ++layer) {
      for (std::int32_t m = 0; m < s.micro_batches; ++m) {
        for (std::int32_t e = 0; e < s.experts; ++e) {
          for (const auto& choice : random.choices(layer, e)) {
            std::vector<std::int64_t> load;
            for (const std::int32_t p : choice) {
              load.push_back(0);
              for (std::int32_t source = 0; source < s.sources; ++source) {
                if (random.choice(layer, source, e) != choice) continue;
                for (std::int32_t c = 0; c < s.chunks; ++c) load.back() += random.plan.rows({layer, m, c}, source, e, p);
              }
            }
            CHECK(spread(load).most - spread(load).least <= 1);
          }
        }
      }
    }
  }
}

TEST_CASE("what arrives at a position is what each source sends there, expert by expert") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const RandomPlan random = seed % 2 == 0 ? random_uniform_plan(seed) : random_counted_plan(seed);
    const RoutingPlan& plan = random.plan;
    const std::vector<std::int32_t> sources{0, plan.shape().sources - 1, 0};
    for_each_block(plan.shape(), [&](RoutingStep step, std::int32_t) {
      for (std::int32_t p = 0; p < plan.shape().expert_positions; ++p) {
        const auto& experts = plan.hosted(step.layer, p);
        std::vector<std::int64_t> sums(experts.size(), 1);
        plan.add_rows_at(step, sources, p, sums);
        for (std::size_t i = 0; i < experts.size(); ++i) {
          CHECK(sums[i] == 1 + 2 * plan.rows(step, 0, experts[i], p) + plan.rows(step, sources[1], experts[i], p));
        }
      }
    });
  }
}

TEST_CASE("position_of sends as many rows to each copy as rows() says") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const RandomPlan random = random_counted_plan(seed);
    const RoutingPlan& plan = random.plan;
    const RoutingShape& s = plan.shape();
    for_each_block(s, [&](RoutingStep step, std::int32_t source) {
      for (std::int32_t e = 0; e < s.experts; ++e) {
        std::vector<std::int64_t> arrived(static_cast<std::size_t>(s.expert_positions), 0);
        for (std::int64_t row = 0; row < plan.rows(step, source, e); ++row) {
          ++arrived[static_cast<std::size_t>(plan.position_of(step, source, e, row))];
        }
        for (std::int32_t p = 0; p < s.expert_positions; ++p) {
          CHECK(arrived[static_cast<std::size_t>(p)] == plan.rows(step, source, e, p));
        }
      }
    });
  }
}

TEST_CASE("two copies of one expert share a single source's odd row count as evenly as whole rows allow") {
  RoutingShape s;
  s.layers = 1, s.sources = 4, s.experts = 1, s.top_k = 1, s.expert_positions = 2, s.tokens = 5;
  RoutingPlan plan = RoutingPlan::uniform(s, 1);
  plan.place_experts({{Replicas{{0, 1}}}}, {});
  std::int64_t first = 0;
  for (std::int32_t source = 0; source < s.sources; ++source) {
    CHECK(plan.rows_to({}, source, 0) + plan.rows_to({}, source, 1) == 5);
    first += plan.rows_to({}, source, 0);
  }
  CHECK(first == 10);  // 4 sources · 5 rows / 2 copies
}

TEST_CASE("hosted lists the experts of a position in ascending order") {
  RoutingShape s = small_shape();
  s.expert_positions = 2;
  RoutingPlan plan = RoutingPlan::uniform(s, 1);
  auto hosts = one_copy_each(s);
  hosts[1][0].positions = {0, 1};
  plan.place_experts(hosts, {});
  CHECK(plan.hosted(0, 0) == std::vector<std::int32_t>{0, 1, 2, 3});
  CHECK(plan.hosted(0, 1) == std::vector<std::int32_t>{4, 5, 6});
  CHECK(plan.hosted(1, 1) == std::vector<std::int32_t>{0, 4, 5, 6});
}

TEST_CASE("experts that get no rows and sources without tokens are ordinary") {
  RoutingShape s;
  s.layers = 1, s.sources = 2, s.experts = 4, s.top_k = 1, s.expert_positions = 4, s.tokens = 1;
  RoutingPlan plan = RoutingPlan::from_counts(s, 1, {0, 1, 0, 0, 0, 0, 0, 0});
  plan.place_experts(one_copy_each(s), {});
  CHECK(plan.rows_to({}, 0, 1) == 1);
  CHECK(plan.rows_sent({}, 1) == 0);
  CHECK(plan.experts_of({}, 1) == std::vector<std::int32_t>{RoutingPlan::no_expert});
  s.tokens = 0;
  CHECK(RoutingPlan::uniform(s, 1).experts_of({}, 0).empty());
}

TEST_CASE("impossible counts and placements are refused with their place") {
  RoutingShape s;
  s.layers = 1, s.sources = 2, s.experts = 2, s.top_k = 1, s.expert_positions = 2, s.tokens = 3;
  CHECK_THROWS_WITH_AS((void)RoutingPlan::from_counts(s, 1, {1, 2, 3}), "routing counts: 3 entries for 2 blocks of 2 experts",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)RoutingPlan::from_counts(s, 1, {1, 2, 4, 0}),
                       "routing counts of layer 0, micro-batch 0, source 1, chunk 0: expert 0 gets 4 rows of 3 tokens",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS((void)RoutingPlan::from_counts(s, 1, {2, 2, 1, 1}),
                       "routing counts of layer 0, micro-batch 0, source 0, chunk 0: 4 rows, at most 3 tokens · top_k 1",
                       std::invalid_argument);
  RoutingPlan plan = RoutingPlan::uniform(s, 1);
  CHECK_THROWS_AS((void)plan.rows_to({}, 0, 0), std::out_of_range);
  CHECK_THROWS_AS(plan.place_experts({{Replicas{{0}}}}, {}), std::invalid_argument);
  CHECK_THROWS_AS(plan.place_experts({{Replicas{{1, 0}}, Replicas{{1}}}}, {}), std::invalid_argument);
  CHECK_THROWS_AS(plan.place_experts({{Replicas{{0}}, Replicas{{2}}}}, {}), std::invalid_argument);
  CHECK_THROWS_AS(plan.place_experts({{Replicas{{0}}, Replicas{{1}}}}, {{{Replicas{{0}}, Replicas{{1}}}, {Replicas{{1}}, Replicas{{1}}}}}),
                  std::invalid_argument);
  s.top_k = 3;
  CHECK_THROWS_AS((void)RoutingPlan::uniform(s, 1), std::invalid_argument);
}

}  // namespace fabricast::ir::routing_test
