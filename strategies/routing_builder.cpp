#include "strategies/routing_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "hardware_models/config_error.hpp"
#include "strategies/emission.hpp"
#include "strategies/routing_file.hpp"

namespace fabricast::strategy {
namespace {

/// splitmix64 (Steele et al. 2014): a well-mixed function of its argument.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

double unit_interval(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

/// Popularity of each expert of a layer: r^-exponent for the r-th, which expert is r-th being drawn (Fisher-Yates).
std::vector<double> zipf_weights(std::int64_t experts, double exponent, std::uint64_t seed) {
  std::vector<std::size_t> order(static_cast<std::size_t>(experts));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) {
    seed = mix(seed);
    std::swap(order[i - 1], order[static_cast<std::size_t>(seed % i)]);
  }
  std::vector<double> weights(order.size());
  for (std::size_t r = 0; r < order.size(); ++r) weights[order[r]] = std::pow(static_cast<double>(r + 1), -exponent);
  return weights;
}

/// Random numbers that depend on the seed alone.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed) {}

  /// In (0, 1].
  double uniform() { return 1.0 - unit_interval(state_ = mix(state_)); }
  /// Standard normal (Box and Muller 1958).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    return radius * std::cos(2.0 * 3.14159265358979323846 * uniform());
  }
  /// Gamma of this shape and scale 1, by rejection (Marsaglia and Tsang 2000).
  double gamma(double shape) {
    if (shape < 1.0) {
      const double scale = std::pow(uniform(), 1.0 / shape);
      return scale * gamma(shape + 1.0);
    }
    const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
    while (true) {
      const double x = normal(), root = 1.0 + c * x;
      if (root <= 0) continue;
      const double v = root * root * root;
      if (std::log(uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
    }
  }

 private:
  std::uint64_t state_;
};

/// Not normalised: a Dirichlet's shares are gamma variates over their sum.
std::vector<double> dirichlet_weights(std::int64_t experts, double concentration, std::uint64_t seed) {
  Draws draws(seed);
  std::vector<double> weights;
  for (std::int64_t expert = 0; expert < experts; ++expert) weights.push_back(std::max(draws.gamma(concentration), 1e-300));
  return weights;
}

/// Popularity by [layer][source][expert]; one row for all sources where the file does not tell them apart.
using Popularity = std::vector<std::vector<std::vector<double>>>;

Popularity drawn_popularity(const ModelSpec& model, const RoutingSpec& routing) {
  Popularity popularity;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    const std::uint64_t seed = mix(mix(routing.seed) ^ static_cast<std::uint64_t>(layer));
    popularity.push_back({routing.distribution == RoutingDistribution::zipf
                              ? zipf_weights(model.moe->experts_per_layer, routing.exponent, seed)
                              : dirichlet_weights(model.moe->experts_per_layer, routing.concentration, seed)});
  }
  return popularity;
}

std::vector<std::uint32_t> deal_tokens(const ir::RoutingShape& shape, const Popularity& popularity, std::uint64_t seed) {
  std::vector<std::uint32_t> counts;
  counts.reserve(static_cast<std::size_t>(shape.layers) * shape.micro_batches * shape.sources * shape.chunks * shape.experts);
  for (std::int32_t layer = 0; layer < shape.layers; ++layer) {
    const auto& by_source = popularity[static_cast<std::size_t>(layer)];
    for (std::int32_t micro_batch = 0; micro_batch < shape.micro_batches; ++micro_batch) {
      for (std::int32_t source = 0; source < shape.sources; ++source) {
        const auto& weights = by_source[by_source.size() == 1 ? 0 : static_cast<std::size_t>(source)];
        for (std::int32_t chunk = 0; chunk < shape.chunks; ++chunk) {
          const auto tokens = static_cast<double>((chunk + 1) * shape.tokens / shape.chunks - chunk * shape.tokens / shape.chunks);
          const std::uint64_t block = mix(mix(mix(mix(seed) ^ static_cast<std::uint64_t>(layer)) ^ static_cast<std::uint64_t>(micro_batch)) ^
                                          (static_cast<std::uint64_t>(source) << 20 | static_cast<std::uint64_t>(chunk)));
          const auto rounded = round_shares(capped_shares(weights, tokens * shape.top_k, tokens), unit_interval(block));
          counts.insert(counts.end(), rounded.begin(), rounded.end());
        }
      }
    }
  }
  return counts;
}

ir::RoutingShape shape_of(const ModelSpec& model, const WorkloadSpec& workload, const StrategySpec& strategy, const Degrees& degrees) {
  ir::RoutingShape shape;
  shape.layers = static_cast<std::int32_t>(model.layers);
  shape.micro_batches = static_cast<std::int32_t>(workload.micro_batches);
  shape.chunks = static_cast<std::int32_t>(strategy.overlap_chunks);
  shape.sources = static_cast<std::int32_t>(degrees.stage_ranks());
  shape.experts = static_cast<std::int32_t>(model.moe->experts_per_layer);
  shape.top_k = static_cast<std::int32_t>(model.moe->top_k);
  shape.expert_positions = static_cast<std::int32_t>(degrees.expert);
  shape.tokens = derive_shapes(model, workload, degrees).shard_tokens;
  return shape;
}

}  // namespace

std::vector<double> capped_shares(const std::vector<double>& weights, double total, double cap) {
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return weights[a] > weights[b]; });
  double left = total, weight_left = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> shares(weights.size(), 0.0);
  for (const std::size_t i : order) {  // heaviest first: once one stays below the cap, all that follow do
    if (weight_left <= 0) break;
    shares[i] = std::min({cap, left, left * weights[i] / weight_left});
    left -= shares[i];
    weight_left -= weights[i];
  }
  return shares;
}

std::vector<std::uint32_t> round_shares(const std::vector<double>& shares, double offset) {
  std::vector<std::uint32_t> counts(shares.size());
  const double total = std::round(std::accumulate(shares.begin(), shares.end(), 0.0));
  double sum = 0, before = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    sum += shares[i];
    const bool last = i + 1 == shares.size();
    const double upto = last ? total : std::min(total, std::floor(sum + offset));
    counts[i] = static_cast<std::uint32_t>(upto - before);
    before = upto;
  }
  return counts;
}

std::vector<std::vector<ir::Replicas>> expert_hosts(const ModelSpec& model, ExpertPlacement placement, std::int64_t positions) {
  const std::int64_t experts = model.moe->experts_per_layer;
  std::vector<std::vector<ir::Replicas>> hosts(static_cast<std::size_t>(model.layers));
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (std::int64_t expert = 0; expert < experts; ++expert) {
      ir::Replicas replicas;
      switch (placement) {
        case ExpertPlacement::every_layer:
          replicas.positions = {static_cast<std::int32_t>(expert / (experts / positions))};
          break;
        case ExpertPlacement::striped:
          replicas.positions = {static_cast<std::int32_t>((layer * experts + expert) % positions)};
          break;
        case ExpertPlacement::replicated:
          for (std::int64_t p = expert; p < positions; p += experts) replicas.positions.push_back(static_cast<std::int32_t>(p));
          break;
      }
      hosts[static_cast<std::size_t>(layer)].push_back(std::move(replicas));
    }
  }
  return hosts;
}

std::vector<std::vector<std::vector<ir::Replicas>>> nearest_replicas(const std::vector<std::vector<ir::Replicas>>& hosts,
                                                                     const std::vector<SourcePlace>& sources) {
  const auto distance = [](const SourcePlace& source, std::int32_t position) {
    if (position == source.position) return 0;
    return source.position_nodes[static_cast<std::size_t>(position)] == source.node ? 1 : 2;
  };
  std::vector<std::vector<std::vector<ir::Replicas>>> nearest;
  for (const auto& layer : hosts) {
    auto& by_source = nearest.emplace_back();
    for (const SourcePlace& source : sources) {
      auto& by_expert = by_source.emplace_back();
      for (const ir::Replicas& copies : layer) {
        int least = 2;
        for (const std::int32_t p : copies.positions) least = std::min(least, distance(source, p));
        auto& chosen = by_expert.emplace_back();
        for (const std::int32_t p : copies.positions) {
          if (distance(source, p) == least) chosen.positions.push_back(p);
        }
      }
    }
  }
  return nearest;
}

ir::RoutingPlan build_routing(const ModelSpec& model, const WorkloadSpec& workload, const StrategySpec& strategy, const RoutingSpec& routing,
                              const Degrees& degrees) {
  if (!model.moe) return {};
  const ir::RoutingShape shape = shape_of(model, workload, strategy, degrees);
  switch (routing.distribution) {
    case RoutingDistribution::uniform:
      return ir::RoutingPlan::uniform(shape, routing.seed);
    case RoutingDistribution::zipf:
    case RoutingDistribution::dirichlet:
      return ir::RoutingPlan::from_counts(shape, routing.seed, deal_tokens(shape, drawn_popularity(model, routing), routing.seed));
    case RoutingDistribution::file:
      return ir::RoutingPlan::from_counts(shape, routing.seed, deal_tokens(shape, read_routing_file(routing.file, shape), routing.seed));
  }
  return {};
}

}  // namespace fabricast::strategy
