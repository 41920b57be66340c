#include "runtime/kernel_needs.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/host_routing.hpp"

namespace fabricast::runtime {
namespace {

using ir::Extent;
using Rows = std::int64_t;

Extent rows(Rows n) { return Extent::constant(n); }

struct NeedsOf {
  KernelNeeds operator()(const hw::Gemm<Rows>& w) const {
    return {hw::Gemm<Extent>{rows(w.m), w.n, w.k, w.precision}, w.precision, {{w.m, w.k}, {w.k, w.n}}, {{w.m, w.n}}};
  }
  KernelNeeds operator()(const hw::GroupedGemm<hw::ExpertRowCounts>& w) const {
    const Rows all = std::accumulate(w.rows.begin(), w.rows.end(), Rows{0});
    return {hw::GroupedGemm<ir::ExpertRows>{{}, w.n, w.k, w.precision}, w.precision,
            {{all, w.k}, {w.k * static_cast<Rows>(w.rows.size()), w.n}}, {{all, w.n}}};
  }
  KernelNeeds operator()(const hw::Attention<Rows>& w) const {
    const Rows all = w.sequences * w.query_length;
    return {hw::Attention<Extent>{rows(w.sequences), w.query_length, w.kv_length, w.heads, w.kv_heads, w.head_dim, w.causal, w.precision},
            w.precision, {{all, (w.heads + 2 * w.kv_heads) * w.head_dim}}, {{all, w.heads * w.head_dim}}};
  }
  KernelNeeds operator()(const hw::Embedding<Rows>& w) const {
    return {hw::Embedding<Extent>{rows(w.tokens), w.width, w.vocabulary, w.precision}, w.precision,
            {{w.tokens, w.vocabulary, BufferNeed::Filling::ids}, {w.vocabulary, w.width}}, {{w.tokens, w.width}}};
  }
  KernelNeeds operator()(const hw::RmsNorm<Rows>& w) const {
    return {hw::RmsNorm<Extent>{rows(w.rows), w.width, w.precision}, w.precision, {{w.rows, w.width}, {1, w.width}}, {{w.rows, w.width}}};
  }
  KernelNeeds operator()(const hw::Rope<Rows>& w) const {
    return {hw::Rope<Extent>{rows(w.rows), w.width, w.precision, w.head_dim, w.sequence_length}, w.precision, {{w.rows, w.width}}, {}, true};
  }
  KernelNeeds operator()(const hw::ResidualAdd<Rows>& w) const {
    return {hw::ResidualAdd<Extent>{rows(w.rows), w.width, w.precision}, w.precision, {{w.rows, w.width}, {w.rows, w.width}},
            {{w.rows, w.width}}};
  }
  KernelNeeds operator()(const hw::Activation<Rows>& w) const {
    return {hw::Activation<Extent>{rows(w.rows), w.width, w.gated, w.precision}, w.precision, {{w.rows, w.width * (w.gated ? 2 : 1)}},
            {{w.rows, w.width}}};
  }
  KernelNeeds operator()(const hw::Router<Rows>& w) const {
    return {hw::Router<Extent>{rows(w.rows), w.width, w.experts, w.top_k, w.precision}, w.precision, {{w.rows, w.width}, {w.width, w.experts}},
            {{w.rows, w.top_k, BufferNeed::Filling::choices}}};
  }
  KernelNeeds operator()(const hw::Permute<Rows>& w) const {
    return {hw::Permute<Extent>{rows(w.rows), w.width, w.precision, w.order}, w.precision, {{w.rows, w.width}}, {{w.rows, w.width}}};
  }
  KernelNeeds operator()(const hw::WeightedSum<Rows>& w) const {
    const Rows top_k = w.tokens > 0 ? std::max<Rows>(1, (w.rows + w.tokens - 1) / w.tokens) : 1;
    return {hw::WeightedSum<Extent>{rows(w.tokens), rows(w.rows), w.width, w.precision}, w.precision,
            {{w.rows, w.width}, {w.tokens, top_k, BufferNeed::Filling::choices}}, {{w.tokens, w.width}}};
  }
};

/// A permutation of 0 … n-1.
std::vector<std::int32_t> shuffled(Rows n, ir::SplitMix64& random) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.next() % i]);
  return order;
}

}  // namespace

std::vector<std::int32_t> bench_table(const hw::Kernel& kernel, ir::SplitMix64& random) {
  if (const auto* permute = std::get_if<hw::Permute<Rows>>(&kernel)) return shuffled(permute->rows, random);
  if (const auto* router = std::get_if<hw::Router<Rows>>(&kernel)) {
    std::vector<std::int32_t> experts(static_cast<std::size_t>(router->rows * router->top_k));
    for (std::size_t i = 0; i < experts.size(); ++i) experts[i] = static_cast<std::int32_t>(i % static_cast<std::size_t>(router->experts));
    return experts;
  }
  if (const auto* sum = std::get_if<hw::WeightedSum<Rows>>(&kernel)) {
    std::vector<std::int32_t> places = shuffled(sum->rows, random);
    const Rows top_k = sum->tokens > 0 ? std::max<Rows>(1, (sum->rows + sum->tokens - 1) / sum->tokens) : 1;
    places.resize(static_cast<std::size_t>(sum->tokens * top_k), -1);
    return places;
  }
  return {};
}

KernelNeeds needs_of(const hw::Kernel& kernel) { return std::visit(NeedsOf{}, kernel); }

std::int64_t KernelNeeds::row_bytes(const BufferNeed& need) const {
  switch (need.filling) {
    case BufferNeed::Filling::numbers: return need.columns * hw::element_bytes(precision);
    case BufferNeed::Filling::ids: return static_cast<std::int64_t>(sizeof(std::int32_t));
    case BufferNeed::Filling::choices: return need.columns * static_cast<std::int64_t>(sizeof(RouterChoice));
  }
  return 0;
}

Bytes KernelNeeds::memory() const {
  Bytes sum;
  for (const BufferNeed& need : reads) sum += size_of(need);
  for (const BufferNeed& need : writes) sum += size_of(need);
  return sum;
}

void fill_ids_or_choices(const BufferNeed& need, std::span<std::byte> place, ir::SplitMix64& random) {
  if (need.filling == BufferNeed::Filling::ids) {
    auto* const ids = reinterpret_cast<std::int32_t*>(place.data());
    for (Rows r = 0; r < need.rows; ++r) ids[r] = static_cast<std::int32_t>(random.next() % static_cast<std::uint64_t>(need.columns));
  } else if (need.filling == BufferNeed::Filling::choices) {
    auto* const choices = reinterpret_cast<RouterChoice*>(place.data());
    for (Rows i = 0; i < need.rows * need.columns; ++i) choices[i] = {1.0F / static_cast<float>(need.columns), 0};
  }
}

}  // namespace fabricast::runtime
