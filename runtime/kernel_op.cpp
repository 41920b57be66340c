#include "runtime/kernel_op.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/bf16.hpp"
#include "runtime/host_routing.hpp"
#include "runtime/matrix.hpp"
#include "strategies/ir/split_mix.hpp"

namespace fabricast::runtime {
namespace {

using ir::Extent;
using Rows = std::int64_t;

enum class Filling : std::uint8_t { numbers, ids, choices };

struct BufferNeed {
  Rows rows;
  std::int64_t columns;
  Filling filling = Filling::numbers;
};

/// An op's work in the schedule's terms, and the buffers that it is bound to.
struct Needs {
  ir::Work work;
  hw::Precision precision;
  std::vector<BufferNeed> reads, writes;
  bool in_place = false;                    // writes what it reads
};

Extent rows(Rows n) { return Extent::constant(n); }

struct NeedsOf {
  Needs operator()(const hw::Gemm<Rows>& w) const {
    return {hw::Gemm<Extent>{rows(w.m), w.n, w.k, w.precision}, w.precision, {{w.m, w.k}, {w.k, w.n}}, {{w.m, w.n}}};
  }
  Needs operator()(const hw::GroupedGemm<hw::ExpertRowCounts>& w) const {
    const Rows all = std::accumulate(w.rows.begin(), w.rows.end(), Rows{0});
    return {hw::GroupedGemm<ir::ExpertRows>{{}, w.n, w.k, w.precision}, w.precision,
            {{all, w.k}, {w.k * static_cast<Rows>(w.rows.size()), w.n}}, {{all, w.n}}};
  }
  Needs operator()(const hw::Attention<Rows>& w) const {
    const Rows all = w.sequences * w.query_length;
    return {hw::Attention<Extent>{rows(w.sequences), w.query_length, w.kv_length, w.heads, w.kv_heads, w.head_dim, w.causal, w.precision},
            w.precision, {{all, (w.heads + 2 * w.kv_heads) * w.head_dim}}, {{all, w.heads * w.head_dim}}};
  }
  Needs operator()(const hw::Embedding<Rows>& w) const {
    return {hw::Embedding<Extent>{rows(w.tokens), w.width, w.vocabulary, w.precision}, w.precision,
            {{w.tokens, w.vocabulary, Filling::ids}, {w.vocabulary, w.width}}, {{w.tokens, w.width}}};
  }
  Needs operator()(const hw::RmsNorm<Rows>& w) const {
    return {hw::RmsNorm<Extent>{rows(w.rows), w.width, w.precision}, w.precision, {{w.rows, w.width}, {1, w.width}}, {{w.rows, w.width}}};
  }
  Needs operator()(const hw::Rope<Rows>& w) const {
    return {hw::Rope<Extent>{rows(w.rows), w.width, w.precision, w.head_dim, w.sequence_length}, w.precision, {{w.rows, w.width}}, {}, true};
  }
  Needs operator()(const hw::ResidualAdd<Rows>& w) const {
    return {hw::ResidualAdd<Extent>{rows(w.rows), w.width, w.precision}, w.precision, {{w.rows, w.width}, {w.rows, w.width}},
            {{w.rows, w.width}}};
  }
  Needs operator()(const hw::Activation<Rows>& w) const {
    return {hw::Activation<Extent>{rows(w.rows), w.width, w.gated, w.precision}, w.precision, {{w.rows, w.width * (w.gated ? 2 : 1)}},
            {{w.rows, w.width}}};
  }
  Needs operator()(const hw::Router<Rows>& w) const {
    return {hw::Router<Extent>{rows(w.rows), w.width, w.experts, w.top_k, w.precision}, w.precision, {{w.rows, w.width}, {w.width, w.experts}},
            {{w.rows, w.top_k, Filling::choices}}};
  }
  Needs operator()(const hw::Permute<Rows>& w) const {
    return {hw::Permute<Extent>{rows(w.rows), w.width, w.precision, w.order}, w.precision, {{w.rows, w.width}}, {{w.rows, w.width}}};
  }
  Needs operator()(const hw::WeightedSum<Rows>& w) const {
    const Rows top_k = w.tokens > 0 ? std::max<Rows>(1, (w.rows + w.tokens - 1) / w.tokens) : 1;
    return {hw::WeightedSum<Extent>{rows(w.tokens), rows(w.rows), w.width, w.precision}, w.precision,
            {{w.rows, w.width}, {w.tokens, top_k, Filling::choices}}, {{w.tokens, w.width}}};
  }
};

std::int64_t row_bytes(const BufferNeed& need, hw::Precision precision) {
  switch (need.filling) {
    case Filling::numbers: return need.columns * hw::element_bytes(precision);
    case Filling::ids: return static_cast<std::int64_t>(sizeof(std::int32_t));
    case Filling::choices: return need.columns * static_cast<std::int64_t>(sizeof(RouterChoice));
  }
  return 0;
}

Bytes size_of(const BufferNeed& need, hw::Precision precision) { return Bytes(need.rows * row_bytes(need, precision)); }

/// Evenly over [-1, 1).
float random_number(ir::SplitMix64& random) { return static_cast<float>(static_cast<double>(random.next() >> 40) * 0x1p-23 - 1.0); }

void fill(const View& view, const BufferNeed& need, hw::Precision precision, ir::SplitMix64& random) {
  if (need.filling == Filling::ids) {
    auto* const ids = reinterpret_cast<std::int32_t*>(view.data);
    for (Rows r = 0; r < need.rows; ++r) ids[r] = static_cast<std::int32_t>(random.next() % static_cast<std::uint64_t>(need.columns));
    return;
  }
  if (need.filling == Filling::choices) {
    auto* const choices = reinterpret_cast<RouterChoice*>(view.data);
    for (Rows i = 0; i < need.rows * need.columns; ++i) choices[i] = {1.0F / static_cast<float>(need.columns), 0};
    return;
  }
  with_element(precision, [&](auto element) {
    auto* const values = reinterpret_cast<decltype(element)*>(view.data);
    for (Rows i = 0; i < need.rows * need.columns; ++i) store(random_number(random), values[i]);
  });
}

/// A permutation of 0 … n-1.
std::vector<std::int32_t> shuffled(Rows n, ir::SplitMix64& random) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.next() % i]);
  return order;
}

std::vector<std::int32_t> table_of(const hw::Kernel& kernel, ir::SplitMix64& random) {
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

}  // namespace

Bytes KernelOp::memory_of(const hw::Kernel& kernel) {
  const Needs needs = std::visit(NeedsOf{}, kernel);
  Bytes sum;
  for (const BufferNeed& need : needs.reads) sum += size_of(need, needs.precision);
  for (const BufferNeed& need : needs.writes) sum += size_of(need, needs.precision);
  return sum;
}

KernelOp::KernelOp(const hw::Kernel& kernel, std::uint64_t seed) {
  const Needs needs = std::visit(NeedsOf{}, kernel);
  ir::SplitMix64 random(seed);
  op_.work = needs.work;
  bound_.op = &op_;
  const auto add = [&](const BufferNeed& need, std::vector<View>& views) {
    buffers_.emplace_back(size_of(need, needs.precision));
    views.push_back({buffers_.back().memory().data(), need.rows, row_bytes(need, needs.precision)});
    fill(views.back(), need, needs.precision, random);
  };
  for (const BufferNeed& need : needs.reads) add(need, bound_.reads);
  for (const BufferNeed& need : needs.writes) add(need, bound_.writes);
  if (needs.in_place) bound_.writes = bound_.reads;
  bound_.table = table_of(kernel, random);
  if (const auto* grouped = std::get_if<hw::GroupedGemm<hw::ExpertRowCounts>>(&kernel)) bound_.expert_rows = grouped->rows;
}

}  // namespace fabricast::runtime
