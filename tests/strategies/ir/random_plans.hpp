// Seeded random routing plans for the tests: ragged sizes, skew, drops, several copies. Knows nothing of how plans work inside.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "strategies/ir/routing.hpp"
#include "strategies/ir/split_mix.hpp"

namespace fabricast::ir {

/// A plan beside the placement that it was given.
struct RandomPlan {
  RoutingPlan plan;
  std::vector<std::vector<Replicas>> hosts;
  std::vector<std::vector<std::vector<Replicas>>> nearest;

  [[nodiscard]] const std::vector<std::int32_t>& choice(std::int32_t layer, std::int32_t source, std::int32_t expert) const {
    const auto l = static_cast<std::size_t>(layer), s = static_cast<std::size_t>(source), e = static_cast<std::size_t>(expert);
    return nearest.empty() ? hosts[l][e].positions : nearest[l][s][e].positions;
  }
  /// The distinct sets of copies that sources choose among.
  [[nodiscard]] std::set<std::vector<std::int32_t>> choices(std::int32_t layer, std::int32_t expert) const {
    std::set<std::vector<std::int32_t>> result;
    for (std::int32_t source = 0; source < plan.shape().sources; ++source) result.insert(choice(layer, source, expert));
    return result;
  }
};

template <class Visit>
void for_each_block(const RoutingShape& shape, Visit&& visit) {
  for (std::int32_t layer = 0; layer < shape.layers; ++layer) {
    for (std::int32_t m = 0; m < shape.micro_batches; ++m) {
      for (std::int32_t c = 0; c < shape.chunks; ++c) {
        for (std::int32_t source = 0; source < shape.sources; ++source) visit(RoutingStep{layer, m, c}, source);
      }
    }
  }
}

inline std::int32_t between(SplitMix64& random, std::uint32_t least, std::uint32_t most) {
  return static_cast<std::int32_t>(least + random.below(most - least + 1));
}

inline RoutingShape random_shape(SplitMix64& random) {
  RoutingShape shape;
  shape.layers = between(random, 1, 3);
  shape.micro_batches = between(random, 1, 3);
  shape.chunks = between(random, 1, 4);
  shape.sources = between(random, 1, 6);
  shape.experts = between(random, 1, 9);
  shape.top_k = between(random, 1, static_cast<std::uint32_t>(shape.experts));
  shape.expert_positions = between(random, 1, 8);
  shape.tokens = between(random, 0, 20);
  return shape;
}

/// Up to two random members of `from`, at least one.
inline Replicas some_of(SplitMix64& random, const std::vector<std::int32_t>& from) {
  std::set<std::int32_t> chosen;
  for (int draw = 0; draw < 2; ++draw) chosen.insert(from[random.below(static_cast<std::uint32_t>(from.size()))]);
  return {{chosen.begin(), chosen.end()}};
}

inline void place_at_random(RandomPlan& random_plan, SplitMix64& random) {
  const RoutingShape& shape = random_plan.plan.shape();
  std::vector<std::int32_t> positions;
  for (std::int32_t p = 0; p < shape.expert_positions; ++p) positions.push_back(p);
  const bool layers_alike = random.below(2) == 0, with_nearest = random.below(2) == 0;
  for (std::int32_t layer = 0; layer < shape.layers; ++layer) {
    std::vector<Replicas> hosts;
    for (std::int32_t e = 0; e < shape.experts; ++e) {
      std::set<std::int32_t> copies;
      for (int draw = between(random, 1, 4); draw > 0; --draw)
        copies.insert(positions[random.below(static_cast<std::uint32_t>(positions.size()))]);
      hosts.push_back({{copies.begin(), copies.end()}});
    }
    std::vector<std::vector<Replicas>> nearest(static_cast<std::size_t>(shape.sources));
    for (auto& of_source : nearest) {
      for (const Replicas& all : hosts) of_source.push_back(some_of(random, all.positions));
    }
    random_plan.hosts.push_back(layers_alike && layer > 0 ? random_plan.hosts[0] : hosts);
    if (with_nearest) random_plan.nearest.push_back(layers_alike && layer > 0 ? random_plan.nearest[0] : nearest);
  }
  random_plan.plan.place_experts(random_plan.hosts, random_plan.nearest);
}

inline RandomPlan random_uniform_plan(std::uint64_t seed) {
  SplitMix64 random(seed);
  const RoutingShape shape = random_shape(random);
  RandomPlan result{RoutingPlan::uniform(shape, seed), {}, {}};
  place_at_random(result, random);
  return result;
}

/// Skewed counts, some rows dropped.
inline RandomPlan random_counted_plan(std::uint64_t seed) {
  SplitMix64 random(seed);
  const RoutingShape shape = random_shape(random);
  std::vector<std::uint32_t> counts;
  for_each_block({shape.layers, shape.micro_batches, 1, shape.sources, shape.experts, shape.top_k, 1, 0}, [&](RoutingStep, std::int32_t) {
    for (std::int64_t c = 0; c < shape.chunks; ++c) {
      const auto tokens = static_cast<std::uint32_t>((c + 1) * shape.tokens / shape.chunks - c * shape.tokens / shape.chunks);
      std::uint32_t left = tokens * static_cast<std::uint32_t>(shape.top_k);
      for (std::int32_t e = 0; e < shape.experts; ++e) {
        counts.push_back(std::min(left, random.below(4) == 0 ? 0 : random.below(tokens + 1)));
        left -= counts.back();
      }
    }
  });
  RandomPlan result{RoutingPlan::from_counts(shape, seed, counts), {}, {}};
  place_at_random(result, random);
  return result;
}

}  // namespace fabricast::ir
