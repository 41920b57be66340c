#include "validation/benchmark_routing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "strategies/ir/split_mix.hpp"

namespace fabricast::validation {

namespace {

using hw::ExpertRowCounts;

struct TimedShape {
  std::int64_t hidden, inner, top_k, experts;
};

/// Layers that the benchmark times in bf16 and fp8 (moe_perf of h100_sxm, trtllm 1.3.0rc20), whole, and the degrees that it divides them by.
constexpr std::array<TimedShape, 9> timed_shapes{{{2048, 512, 8, 256},
                                             {2048, 768, 8, 128},
                                             {2048, 5120, 22, 512},
                                             {2688, 1856, 6, 128},
                                             {2816, 704, 8, 128},
                                             {4096, 1024, 10, 512},
                                             {4096, 1536, 8, 128},
                                             {4096, 2048, 8, 256},
                                             {4096, 14336, 2, 8}}};
constexpr std::int64_t most_tensor_degree = 32, most_expert_degree = 256, most_layer_gpus = 256;

std::int64_t rows_in(const ExpertRowCounts& rows) { return std::accumulate(rows.begin(), rows.end(), std::int64_t{0}); }

double unit_uniform(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

/// Weights between `least` and `highest`, by inverting the distribution function.
std::vector<double> power_law_weights(const BenchmarkLayer& layer, double alpha, std::uint64_t seed) {
  const bool many = layer.tokens * layer.top_k > layer.experts;
  const double least = many ? 1.0 : 0.01, highest = many ? static_cast<double>(layer.tokens) * 0.8 : 2.0, power = 1.0 - alpha;
  const double low = std::pow(least, power), high = std::pow(highest, power);
  ir::SplitMix64 random(seed);
  std::vector<double> weights(static_cast<std::size_t>(layer.experts));
  for (double& weight : weights) weight = std::pow((high - low) * unit_uniform(random.next()) + low, 1.0 / power);
  return weights;
}

/// Gives rows one at a time to the ranks in turn, to the expert that has fewest, at most `limit` each; a negative number takes them from the
/// one that has most.
void deal(ExpertRowCounts& rows, std::int64_t ranks, std::int64_t number, std::int64_t limit) {
  const auto per_rank = static_cast<std::ptrdiff_t>(rows.size()) / ranks;
  bool moved = true;
  while (number != 0 && moved) {
    moved = false;
    for (std::int64_t rank = 0; rank < ranks && number != 0; ++rank) {
      const auto begin = rows.begin() + rank * per_rank, end = begin + per_rank;
      const auto expert = number > 0 ? std::min_element(begin, end) : std::max_element(begin, end);
      if (number > 0 ? *expert >= limit : *expert <= 0) continue;
      *expert += number > 0 ? 1 : -1;
      number += number > 0 ? -1 : 1;
      moved = true;
    }
  }
}

ExpertRowCounts busiest_rank(const ExpertRowCounts& rows, std::int64_t ranks) {
  const auto per_rank = static_cast<std::ptrdiff_t>(rows.size()) / ranks;
  ExpertRowCounts busiest;
  for (auto begin = rows.begin(); begin != rows.end(); begin += per_rank) {
    const ExpertRowCounts rank(begin, begin + per_rank);
    if (busiest.empty() || rows_in(rank) > rows_in(busiest)) busiest = rank;
  }
  return busiest;
}

}  // namespace

ExpertRowCounts balanced_rows(const BenchmarkLayer& layer) {
  ExpertRowCounts rows(static_cast<std::size_t>(layer.experts));
  const std::int64_t stride = (layer.experts + layer.top_k - 1) / layer.top_k;
  for (std::int64_t choice = 0; choice < layer.top_k; ++choice) {
    const std::int64_t whole = layer.tokens >= stride ? layer.tokens / layer.experts : 0;
    for (std::int64_t& count : rows) count += whole;
    const std::int64_t rest = layer.tokens - whole * layer.experts;
    for (std::int64_t token = 0; token < rest; ++token) {
      const std::int64_t place = layer.tokens >= stride ? token : token * stride / layer.tokens;
      rows[static_cast<std::size_t>((place + choice * stride) % layer.experts)] += 1;
    }
  }
  rows.resize(static_cast<std::size_t>(layer.experts / layer.ranks));
  return rows;
}

ExpertRowCounts power_law_rows(const BenchmarkLayer& layer, double alpha, std::uint64_t seed) {
  const std::vector<double> weights = power_law_weights(layer, alpha, seed);
  const std::int64_t choices = layer.tokens * layer.top_k;
  const double scale = static_cast<double>(choices) / std::accumulate(weights.begin(), weights.end(), 0.0);
  ExpertRowCounts rows;
  for (const double weight : weights) rows.push_back(std::llround(weight * scale));
  // A token chooses an expert once at most: what is beyond goes to others, and so does what rounding left over.
  std::int64_t beyond = 0;
  for (std::int64_t& count : rows) {
    beyond += std::max<std::int64_t>(count - layer.tokens, 0);
    count = std::min(count, layer.tokens);
  }
  deal(rows, layer.ranks, beyond, layer.tokens);
  deal(rows, layer.ranks, choices - rows_in(rows), layer.tokens);
  return busiest_rank(rows, layer.ranks);
}

std::int64_t tuned_rows(const BenchmarkLayer& layer) { return std::max<std::int64_t>(layer.tokens * layer.top_k / layer.experts, 1); }

bool may_share_tuning(const BenchmarkLayer& layer) {
  const std::string own = std::to_string(layer.experts / layer.ranks);
  for (const TimedShape& shape : timed_shapes) {
    if (shape.hidden != layer.hidden) continue;
    for (std::int64_t tensor = 1; tensor <= most_tensor_degree; tensor *= 2) {
      if (shape.inner % tensor != 0 || shape.inner / tensor != layer.inner) continue;
      for (std::int64_t ranks = 1; ranks <= most_expert_degree && ranks * tensor <= most_layer_gpus && shape.experts % ranks == 0; ranks *= 2) {
        const bool same = shape.top_k == layer.top_k && tensor == layer.tensor && ranks == layer.ranks;
        if (!same && std::to_string(shape.experts / ranks).rfind(own, 0) == 0) return true;
      }
    }
  }
  return false;
}

}  // namespace fabricast::validation
