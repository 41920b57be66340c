// aiconfigurator's fused MoE layers: one GPU's share of permutation, two grouped GEMMs and weighted sum, under balanced and power-law
// routing. Its benchmark routes by these rules (ai-dynamo/aiconfigurator, collector/helper.py, balanced_logits and power_law_logits_v3).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <utility>

#include "strategies/ir/split_mix.hpp"
#include "validation/published_parts.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

using hw::ExpertRowCounts;
using hw::Precision;
using Rows = std::int64_t;

constexpr int draws = 5;   // the benchmark's time under a power law is the mean over five

struct Layer {
  Rows tokens, hidden, inner, top_k, experts, ranks;
};

/// Choice i of token t is expert t + i·stride, or t·stride/tokens + i·stride where there are fewer tokens than `stride`, modulo experts.
/// The first rank's experts are counted.
ExpertRowCounts balanced(const Layer& layer) {
  ExpertRowCounts rows(static_cast<std::size_t>(layer.experts));
  const Rows stride = (layer.experts + layer.top_k - 1) / layer.top_k;
  for (Rows choice = 0; choice < layer.top_k; ++choice) {
    const Rows whole = layer.tokens >= stride ? layer.tokens / layer.experts : 0;
    for (Rows& count : rows) count += whole;
    const Rows rest = layer.tokens - whole * layer.experts;
    for (Rows token = 0; token < rest; ++token) {
      const Rows place = layer.tokens >= stride ? token : token * stride / layer.tokens;
      rows[static_cast<std::size_t>((place + choice * stride) % layer.experts)] += 1;
    }
  }
  rows.resize(static_cast<std::size_t>(layer.experts / layer.ranks));
  return rows;
}

double unit_interval(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

/// Weights x from the density ∝ x^-alpha between `least` and `most`, by inverting the distribution function; rows in proportion, rounded,
/// the difference to the total dealt to the largest. The rank with the most rows is timed.
ExpertRowCounts power_law(const Layer& layer, double alpha, std::uint64_t seed) {
  const bool many = layer.tokens * layer.top_k > layer.experts;
  const double least = many ? 1.0 : 0.01, most = many ? static_cast<double>(layer.tokens) * 0.8 : 2.0, power = 1.0 - alpha;
  std::vector<double> weights(static_cast<std::size_t>(layer.experts));
  ir::SplitMix64 random(seed);
  for (double& weight : weights) {
    weight = std::pow((std::pow(most, power) - std::pow(least, power)) * unit_interval(random.next()) + std::pow(least, power), 1.0 / power);
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0), total = static_cast<double>(layer.tokens * layer.top_k);
  ExpertRowCounts rows;
  for (const double weight : weights) rows.push_back(std::min(layer.tokens, static_cast<Rows>(std::llround(weight / sum * total))));
  const std::size_t per_rank = static_cast<std::size_t>(layer.experts / layer.ranks);
  ExpertRowCounts busiest;
  Rows most_rows = -1;
  for (std::size_t first = 0; first < rows.size(); first += per_rank) {
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(first), end = begin + static_cast<std::ptrdiff_t>(per_rank);
    const Rows count = std::accumulate(begin, end, Rows{0});
    if (count > most_rows) {
      most_rows = count;
      busiest.assign(begin, end);
    }
  }
  return busiest;
}

/// Permutation, gate and up, down, weighted sum, which writes every token whether its experts are here or not; the activation is fused
/// into the first product.
void add_terms(KernelMeasurement& entry, const Layer& layer, ExpertRowCounts rows, bool gated, Precision precision, double times) {
  const Rows total = std::accumulate(rows.begin(), rows.end(), Rows{0});
  entry.terms.push_back({hw::Permute<Rows>{total, layer.hidden, precision}, times});
  entry.terms.push_back({hw::GroupedGemm<ExpertRowCounts>{rows, (gated ? 2 : 1) * layer.inner, layer.hidden, precision}, times});
  entry.terms.push_back({hw::GroupedGemm<ExpertRowCounts>{std::move(rows), layer.hidden, layer.inner, precision}, times});
  entry.terms.push_back({hw::WeightedSum<Rows>{layer.tokens, total, layer.hidden, Precision::bf16}, times});
}

std::uint64_t seed_of(const Layer& layer, int draw) {
  std::uint64_t seed = static_cast<std::uint64_t>(draw);
  for (const Rows part : {layer.tokens, layer.experts, layer.ranks}) seed = seed * 1000003u + static_cast<std::uint64_t>(part);
  return seed;
}

double exponent(const CsvTable& table, const CsvTable::Row& row) {
  constexpr std::string_view prefix = "power_law_";
  const std::string& text = table.text(row, "routing_distribution");
  double alpha = 0;
  const auto [end, error] = std::from_chars(text.data() + std::min(prefix.size(), text.size()), text.data() + text.size(), alpha);
  if (text.rfind(prefix, 0) != 0 || error != std::errc{} || end != text.data() + text.size() || alpha == 1.0) {
    table.fail(row, "routing_distribution", "is neither balanced nor power_law_ and an exponent other than 1");
  }
  return alpha;
}

}  // namespace

void read_moe_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  const Rows tensor = table.integer(row, "moe_tp");
  const Layer layer{table.integer(row, "num_tokens"), table.integer(row, "hidden"),  table.integer(row, "inter") / tensor,
                    table.integer(row, "topk"),       table.integer(row, "experts"), table.integer(row, "moe_ep")};
  if (layer.tokens < 1 || layer.ranks < 1 || layer.experts % layer.ranks != 0 || layer.experts > 4096) {
    table.fail(row, "moe_ep", "does not divide the experts");
  }
  const std::string& type = table.text(row, "dtype");
  const Precision precision = type == "bfloat16" ? Precision::bf16 : Precision::fp8;
  const bool gated = table.text(row, "kernel") != "moe_torch_flow_nongated";
  const bool even = table.text(row, "routing_distribution") == "balanced";

  KernelMeasurement entry;
  entry.kind = fmt::format("moe layer {} {}", type == "bfloat16" ? "bf16" : type == "fp8" ? "fp8" : "fp8 blockwise", even ? "balanced" : "power law");
  entry.family = fmt::format("hidden={} inner={} top_k={} experts={}", layer.hidden, layer.inner * tensor, layer.top_k, layer.experts);
  entry.constant = "aiconfigurator moe layer";
  entry.seconds = checked_time(table.positive(row, "latency_us") * 1e-6, into.place(row));
  entry.place = into.place(row);
  if (even) {
    add_terms(entry, layer, balanced(layer), gated, precision, 1.0);
  } else {
    const double alpha = exponent(table, row);
    for (int draw = 0; draw < draws; ++draw) add_terms(entry, layer, power_law(layer, alpha, seed_of(layer, draw)), gated, precision, 1.0 / draws);
  }
  into.of(table.text(row, "system")).kernels.push_back(std::move(entry));
}

}  // namespace fabricast::validation
