#include "runtime/numerics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "runtime/random_values.hpp"

namespace fabricast::runtime {
namespace {

std::int64_t degree(const ir::Schedule& schedule, Rank rank, ir::Axis axis) {
  return static_cast<std::int64_t>(schedule.group_of(rank, axis).members.size());
}

std::int64_t replicas_of(const ir::Schedule& schedule) {
  return degree(schedule, Rank{0}, ir::Axis::data) * degree(schedule, Rank{0}, ir::Axis::context);
}

/// Tokens in the order (micro-batch, replica, position), which is that of (micro-batch, source, token of its shard), too: the sources of a
/// replica hold its tokens one after the other.
ReferenceInput input_of(const ir::Schedule& schedule, const Problem& problem, std::uint64_t seed) {
  ReferenceInput input;
  input.sequence_length = problem.sequence_length;
  input.head_on_all_tokens = problem.head_on_all_tokens;
  const std::int64_t replicas = replicas_of(schedule);
  const std::int64_t tokens = problem.sequences * problem.sequence_length / (replicas * problem.micro_batches);
  for (std::int64_t micro_batch = 0; micro_batch < problem.micro_batches; ++micro_batch) {
    for (std::int64_t replica = 0; replica < replicas; ++replica) {
      for (std::int64_t i = 0; i < tokens; ++i) {
        input.tokens.push_back(random_token(seed, micro_batch, replica, i, problem.model.vocabulary));
      }
    }
  }
  return input;
}

std::vector<std::int32_t> experts_of_layer(const ir::RoutingPlan& plan, std::int32_t layer) {
  std::vector<std::int32_t> result;
  for (std::int32_t micro_batch = 0; micro_batch < plan.shape().micro_batches; ++micro_batch) {
    for (std::int32_t source = 0; source < plan.shape().sources; ++source) {
      for (std::int32_t chunk = 0; chunk < plan.shape().chunks; ++chunk) {
        const auto experts = plan.experts_of({layer, micro_batch, chunk}, source);
        result.insert(result.end(), experts.begin(), experts.end());
      }
    }
  }
  return result;
}

std::vector<double> reference_of(const ir::Schedule& schedule, const Problem& problem, std::uint64_t seed) {
  ReferenceInput input = input_of(schedule, problem, seed);
  for (std::int32_t layer = 0; layer < problem.model.layers; ++layer) {
    const bool is_moe = problem.model.is_moe[static_cast<std::size_t>(layer)];
    input.experts.push_back(is_moe ? experts_of_layer(schedule.routing, layer) : std::vector<std::int32_t>{});
  }
  return reference_logits(problem.model, seed, input);
}

/// The largest deviation of one rank's logits from their slice of the reference; not a number where one of them is none.
double deviation(const LogitsShard& shard, std::span<const double> reference, std::int64_t first_row, std::int64_t first_column,
                 std::int64_t vocabulary) {
  double largest = 0.0;
  for (std::int64_t r = 0; r < shard.rows; ++r) {
    for (std::int64_t c = 0; c < shard.columns; ++c) {
      const double expected = reference[static_cast<std::size_t>((first_row + r) * vocabulary + first_column + c)];
      const double difference = std::abs(shard.values[static_cast<std::size_t>(r * shard.columns + c)] - expected);
      if (!(difference <= largest)) largest = difference;
      if (std::isnan(difference)) return difference;
    }
  }
  return largest;
}

}  // namespace

double tolerance_of(hw::Precision precision, std::int64_t layers) {
  // Each op rounds its result once, by up to u = 2^-8 (bf16) or 2^-24 (fp32) of it. Some 10 ops a layer whose errors add up at random:
  // √(10 · layers) times u. An fp32 sum of k products adds about √k · u, 64 u for k = 4096: 20 times more room there.
  const double roundings = std::sqrt(10.0 * static_cast<double>(layers));
  return precision == hw::Precision::bf16 ? roundings * 0x1p-8 : 20 * roundings * 0x1p-24;
}

Seconds time_of_reference(const Problem& problem) {
  constexpr double flop_per_second = 1e10, weights_per_second = 1e8;   // of a core: Eigen's fp64 product, RandomWeights::at
  const ModelShape& m = problem.model;
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  const double tokens = real(problem.sequences) * real(problem.sequence_length), width = real(m.d_model), q = real(m.heads * m.d_head);
  const double projections = width * (2 * q + 2 * real(m.kv_heads * m.d_head)), scores = 2 * real(problem.sequence_length) * q;
  const double matrices = m.gated ? 3 : 2;
  double weights = 2 * real(m.vocabulary) * width, of_token = 0;   // multiplications
  for (std::int64_t layer = 0; layer < m.layers; ++layer) {
    const bool is_moe = m.is_moe[static_cast<std::size_t>(layer)];
    const double expert = matrices * width * real(is_moe ? m.moe->d_ff : m.d_ff);
    weights += projections + expert * (is_moe ? real(m.moe->experts) : 1);
    of_token += projections + scores + expert * (is_moe ? real(m.moe->top_k) : 1);
  }
  const double rows_of_head = problem.head_on_all_tokens ? tokens : real(problem.sequences);
  return Seconds(2 * (tokens * of_token + rows_of_head * width * real(m.vocabulary)) / flop_per_second + weights / weights_per_second);
}

void require_checkable(const Problem& problem) {
  constexpr Seconds patience{1800};
  const Seconds time = time_of_reference(problem);
  if (time <= patience) return;
  throw BackendUnavailable(fmt::format("numbers of this size cannot be checked: the single-rank reference would compute for some {:.1f} hours after the run; "
                                       "give --no-check, or reduce widths or tokens",
                                       time.value() / 3600));
}

Numerics check_numerics(const ir::Schedule& schedule, const MeasuredRun& run, const Problem& problem, std::uint64_t seed) {
  const std::vector<double> reference = reference_of(schedule, problem, seed);
  const std::int64_t replicas = replicas_of(schedule), vocabulary = problem.model.vocabulary;
  const std::int64_t rows = static_cast<std::int64_t>(reference.size()) / vocabulary / (problem.micro_batches * replicas);
  double largest = 0.0;
  std::size_t compared = 0;
  for (const LogitsShard& shard : run.logits) {
    const ir::Coordinates& at = schedule.ranks[shard.rank.index()].at;
    const std::int64_t replica = at.data * degree(schedule, shard.rank, ir::Axis::context) + at.context;
    if (shard.micro_batch >= problem.micro_batches || shard.rows != rows ||
        shard.columns * degree(schedule, shard.rank, ir::Axis::tensor) != vocabulary) {
      throw std::logic_error("a rank's logits have other sizes than the problem's");
    }
    const double d = deviation(shard, reference, (shard.micro_batch * replicas + replica) * rows, at.tensor * shard.columns, vocabulary);
    if (!(d <= largest)) largest = d;
    if (std::isnan(d)) break;
    compared += shard.values.size();
  }
  if (!std::isnan(largest) && compared != reference.size()) throw std::logic_error("the run did not keep all logits");
  const double scale =
      std::abs(*std::max_element(reference.begin(), reference.end(), [](double a, double b) { return std::abs(a) < std::abs(b); }));
  Numerics result{largest / scale, tolerance_of(problem.model.precision, problem.model.layers), false};
  result.passed = result.max_relative_error <= result.tolerance && run.logits_repeat;
  return result;
}

}  // namespace fabricast::runtime
