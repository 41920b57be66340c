// aiconfigurator's fused MoE layers (TensorRT-LLM): one GPU's share of permutation, two grouped GEMMs, activation and weighted sum, under
// balanced and power-law routing. Its benchmark routes and tunes by the rules of benchmark_routing.hpp (ai-dynamo/aiconfigurator,
// collector/helper.py and collector/trtllm/collect_moe.py). Also its times of SGLang's experts beside a dispatch (DeepGEMM).
#include <fmt/format.h>

#include <charconv>
#include <numeric>
#include <utility>

#include "validation/benchmark_routing.hpp"
#include "validation/published_parts.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

using hw::ExpertRowCounts;
using hw::Precision;
using Rows = std::int64_t;

constexpr int draws = 5;   // the benchmark's time under a power law is the mean over five
constexpr Rows most_presented = 1 << 20;
constexpr Rows most_fused_top_k = 8;   // beyond, TensorRT-LLM routes by kernels of PyTorch (_torch/modules/fused_moe/routing.py)

struct LayerType {
  std::string name;
  Precision rows, products;   // of the rows that are permuted, and of the GEMMs' operands
  bool gated;
};

LayerType type_of(const CsvTable& table, const CsvTable::Row& row) {
  const std::string& text = table.text(row, "dtype");
  const bool gated = table.text(row, "kernel") != "moe_torch_flow_nongated";
  if (text == "bfloat16") return {"bf16", Precision::bf16, Precision::bf16, gated};
  if (text == "fp8") return {"fp8", Precision::fp8, Precision::fp8, gated};
  return {"fp8 blockwise", Precision::bf16, Precision::fp8, gated};
}

/// The weighted sum writes every token, whether its experts are here or not.
void add_terms(KernelMeasurement& entry, const BenchmarkLayer& layer, ExpertRowCounts rows, const LayerType& type, double times) {
  const Rows total = std::accumulate(rows.begin(), rows.end(), Rows{0}), tuned = tuned_rows(layer);
  entry.terms.push_back({hw::Permute<Rows>{total, layer.hidden, type.rows}, times});
  entry.terms.push_back({hw::GroupedGemm<ExpertRowCounts>{rows, (type.gated ? 2 : 1) * layer.inner, layer.hidden, type.products, tuned}, times});
  entry.terms.push_back({hw::Activation<Rows>{total, layer.inner, type.gated, Precision::bf16}, times});
  entry.terms.push_back({hw::GroupedGemm<ExpertRowCounts>{std::move(rows), layer.hidden, layer.inner, type.products, tuned}, times});
  entry.terms.push_back({hw::WeightedSum<Rows>{layer.tokens, total, layer.hidden, Precision::bf16}, times});
}

/// Rows that the permutations of all draws wrote, in the mean.
double mean_rows(const KernelMeasurement& entry) {
  double sum = 0;
  for (const Term& term : entry.terms) {
    if (const auto* permute = std::get_if<hw::Permute<Rows>>(&term.kernel)) sum += static_cast<double>(permute->rows) * term.times;
  }
  return sum;
}

/// Routing, sorting and set-up of the GEMMs; quantisation, of the tokens (fp8) or of what either GEMM reads, with a scale for 128 elements
/// (blockwise), whose kernels also look through the experts one by one.
void add_source_costs(KernelMeasurement& entry, const BenchmarkLayer& layer, const LayerType& type) {
  const std::string name = "aiconfigurator moe layer " + type.name;
  entry.costs.push_back({name});
  if (layer.top_k > most_fused_top_k) entry.costs.push_back({name + ", more than 8 choices"});
  if (type.name == "fp8") {
    entry.costs.push_back({name + ", each million elements quantised", static_cast<double>(layer.tokens * layer.hidden) / million});
  }
  if (type.name == "fp8 blockwise") {
    entry.costs.push_back({name + ", each million elements quantised", mean_rows(entry) * static_cast<double>(layer.hidden + layer.inner) / million});
    entry.costs.push_back({name + ", each expert", static_cast<double>(layer.experts / layer.ranks)});
  }
}

std::uint64_t seed_of(const BenchmarkLayer& layer, int draw) {
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

void check_layer(const CsvTable& table, const CsvTable::Row& row, const BenchmarkLayer& layer, std::string_view ranks) {
  if (layer.tokens < 1 || layer.tokens > most_presented) table.fail(row, "num_tokens", "is not between 1 and 1048576");
  if (layer.top_k < 1 || layer.top_k > layer.experts) table.fail(row, "topk", "is not between 1 and the experts");
  if (layer.ranks < 1 || layer.experts % layer.ranks != 0 || layer.experts > 4096) table.fail(row, ranks, "does not divide the experts");
}

}  // namespace

void read_moe_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  const Rows tensor = table.integer(row, "moe_tp"), inner = table.integer(row, "inter");
  if (tensor < 1 || inner % tensor != 0) table.fail(row, "moe_tp", "does not divide inter");
  const BenchmarkLayer layer{table.integer(row, "num_tokens"), table.integer(row, "hidden"),  inner / tensor,
                             table.integer(row, "topk"),       table.integer(row, "experts"), table.integer(row, "moe_ep"), tensor};
  check_layer(table, row, layer, "moe_ep");
  const LayerType type = type_of(table, row);
  const bool even = table.text(row, "routing_distribution") == "balanced";

  KernelMeasurement entry;
  entry.kind = fmt::format("moe layer {} {}", type.name, even ? "balanced" : "power law");
  if (type.name != "fp8 blockwise" && may_share_tuning(layer)) entry.kind += shared_tuning;   // those kernels are not tuned
  entry.family = fmt::format("hidden={} inner={} top_k={} experts={}", layer.hidden, layer.inner * tensor, layer.top_k, layer.experts);
  entry.seconds = checked_time(table.positive(row, "latency_us") * 1e-6, into.place(row));
  entry.place = into.place(row);
  if (even) {
    add_terms(entry, layer, balanced_rows(layer), type, 1.0);
  } else {
    const double alpha = exponent(table, row);
    for (int draw = 0; draw < draws; ++draw) add_terms(entry, layer, power_law_rows(layer, alpha, seed_of(layer, draw)), type, 1.0 / draws);
  }
  add_source_costs(entry, layer, type);
  into.of(table.text(row, "system")).kernels.push_back(std::move(entry));
}

/// Decoding: two GEMMs over the rows that the rank received, the activation between them; num_tokens are those of all ranks. Nothing is fitted to
/// it. Other rows route by rules that are not published with them, or also time work on the tokens of all ranks.
void read_wide_ep_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  if (table.text(row, "phase") != "generation" || table.text(row, "routing_distribution") != "uniform") {
    into.leave_out("not a decoding layer under uniform routing");
    return;
  }
  const BenchmarkLayer layer{table.integer(row, "num_tokens"), table.integer(row, "hidden"),  table.integer(row, "inter"), table.integer(row, "topk"),
                             table.integer(row, "experts"),    table.integer(row, "ep"), 1};
  check_layer(table, row, layer, "ep");
  ExpertRowCounts rows = balanced_rows(layer);
  const Rows total = std::accumulate(rows.begin(), rows.end(), Rows{0}), tuned = tuned_rows(layer);
  KernelMeasurement entry;
  entry.kind = "wide-EP experts fp8 blockwise";
  entry.family = fmt::format("experts={}", rows.size());
  entry.seconds = checked_time(table.positive(row, "latency_us") * 1e-6, into.place(row));
  entry.place = into.place(row);
  entry.terms = {{hw::GroupedGemm<ExpertRowCounts>{rows, 2 * layer.inner, layer.hidden, Precision::fp8, tuned}},
                 {hw::Activation<Rows>{total, layer.inner, true, Precision::bf16}},
                 {hw::GroupedGemm<ExpertRowCounts>{rows, layer.hidden, layer.inner, Precision::fp8, tuned}}};
  into.of(table.text(row, "system")).kernels.push_back(std::move(entry));
}

}  // namespace fabricast::validation
