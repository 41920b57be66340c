#include "validation/measurements.hpp"

#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "validation/kernel_facts.hpp"

namespace fabricast::validation {

namespace {

using Rows = std::int64_t;

struct NameOf {
  std::string operator()(const hw::Gemm<Rows>&) const { return "gemm"; }
  std::string operator()(const hw::GroupedGemm<hw::ExpertRowCounts>&) const { return "grouped_gemm"; }
  std::string operator()(const hw::Attention<Rows>& w) const { return w.query_length > 1 ? "attention prefill" : "attention decode"; }
  std::string operator()(const hw::Embedding<Rows>&) const { return "embedding"; }
  std::string operator()(const hw::RmsNorm<Rows>&) const { return "rms_norm"; }
  std::string operator()(const hw::Rope<Rows>&) const { return "rope"; }
  std::string operator()(const hw::ResidualAdd<Rows>&) const { return "residual_add"; }
  std::string operator()(const hw::Activation<Rows>&) const { return "activation"; }
  std::string operator()(const hw::Router<Rows>&) const { return "router"; }
  std::string operator()(const hw::Permute<Rows>&) const { return "permute"; }
  std::string operator()(const hw::WeightedSum<Rows>&) const { return "weighted_sum"; }
};

struct FamilyOf {
  std::string operator()(const hw::Gemm<Rows>& w) const { return fmt::format("n={} k={}", w.n, w.k); }
  std::string operator()(const hw::GroupedGemm<hw::ExpertRowCounts>& w) const {
    return fmt::format("experts={} n={} k={}", w.rows.size(), w.n, w.k);
  }
  std::string operator()(const hw::Attention<Rows>& w) const {
    return fmt::format("heads={} kv_heads={} head_dim={}", w.heads, w.kv_heads, w.head_dim);
  }
  std::string operator()(const hw::Embedding<Rows>& w) const { return fmt::format("width={} vocabulary={}", w.width, w.vocabulary); }
  std::string operator()(const hw::Router<Rows>& w) const { return fmt::format("width={} experts={}", w.width, w.experts); }
  template <class Pass> std::string operator()(const Pass& w) const { return fmt::format("width={}", w.width); }
};

struct RowsOf {
  double operator()(const hw::Gemm<Rows>& w) const { return static_cast<double>(w.m); }
  double operator()(const hw::GroupedGemm<hw::ExpertRowCounts>& w) const {
    return static_cast<double>(std::accumulate(w.rows.begin(), w.rows.end(), std::int64_t{0}));
  }
  double operator()(const hw::Attention<Rows>& w) const { return static_cast<double>(w.sequences * w.query_length); }
  double operator()(const hw::Embedding<Rows>& w) const { return static_cast<double>(w.tokens); }
  template <class Pass> double operator()(const Pass& w) const { return static_cast<double>(w.rows); }
};

double number(std::int64_t value) { return static_cast<double>(value); }

/// Beside rows.
struct DimensionsOf {
  using Map = std::map<std::string, double>;
  Map operator()(const hw::Gemm<Rows>& w) const { return {{"n", number(w.n)}, {"k", number(w.k)}}; }
  Map operator()(const hw::GroupedGemm<hw::ExpertRowCounts>& w) const {
    return {{"experts", static_cast<double>(w.rows.size())}, {"n", number(w.n)}, {"k", number(w.k)}};
  }
  Map operator()(const hw::Attention<Rows>& w) const {
    return {{"kv_length", number(w.kv_length)}, {"heads", number(w.heads)}, {"kv_heads", number(w.kv_heads)}, {"head_dim", number(w.head_dim)}};
  }
  template <class Pass> Map operator()(const Pass& w) const { return {{"width", number(w.width)}}; }
};

}  // namespace

std::string kind_of(const hw::Kernel& kernel) { return fmt::format("{} {}", std::visit(NameOf{}, kernel), hw::name_of(precision_of(kernel))); }

std::string family_of(const hw::Kernel& kernel) { return std::visit(FamilyOf{}, kernel); }

double rows_of(const hw::Kernel& kernel) { return std::visit(RowsOf{}, kernel); }

std::map<std::string, double> dimensions_of(const hw::Kernel& kernel) {
  std::map<std::string, double> dimensions = std::visit(DimensionsOf{}, kernel);
  dimensions["rows"] = rows_of(kernel);
  return dimensions;
}

KernelMeasurement single(hw::Kernel kernel, Seconds seconds, Place place) {
  KernelMeasurement result;
  result.kind = kind_of(kernel);
  result.family = family_of(kernel);
  result.terms.push_back({std::move(kernel), 1.0});
  result.seconds = seconds;
  result.place = std::move(place);
  return result;
}

}  // namespace fabricast::validation
