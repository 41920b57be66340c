#include "strategies/ir/work_json.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace fabricast::ir {

namespace {

std::string_view name_of(Extent::Of of) {
  switch (of) {
    case Extent::Of::constant: return "constant";
    case Extent::Of::rows_sent: return "rows_sent";
    case Extent::Of::rows_received: return "rows_received";
    case Extent::Of::expert_rows: return "expert_rows";
    case Extent::Of::hosted_experts: return "hosted_experts";
  }
  throw std::invalid_argument("unknown kind of extent");
}

std::string_view name_of(hw::RowOrder order) {
  switch (order) {
    case hw::RowOrder::by_destination: return "by_destination";
    case hw::RowOrder::by_expert: return "by_expert";
    case hw::RowOrder::by_arrival: return "by_arrival";
  }
  throw std::invalid_argument("unknown row order");
}

/// One member of an object, with the comma before it: every object starts with its kind.
std::string text(std::string_view key, std::string_view value) { return fmt::format(R"(, "{}": "{}")", key, value); }
std::string number(std::string_view key, std::int64_t value) { return fmt::format(R"(, "{}": {})", key, value); }
std::string flag(std::string_view key, bool value) { return fmt::format(R"(, "{}": {})", key, value); }
std::string rows(std::string_view key, std::int64_t value) { return number(key, value); }
std::string rows(std::string_view key, const Extent& value) { return fmt::format(R"(, "{}": {})", key, extent_json(value)); }
std::string precision(hw::Precision value) { return text("precision", hw::name_of(value)); }
std::string algorithm(hw::CollectiveAlgorithm value) { return text("algorithm", hw::name_of(value)); }
std::string step(const RoutingStep& value) { return ", " + step_json(value); }

std::string message(Axis axis, std::int32_t peer, std::int32_t tag, const Extent& size, std::int64_t row_bytes) {
  return text("axis", ir::name_of(axis)) + number("peer", peer) + number("tag", tag) + rows("rows", size) + number("row_bytes", row_bytes);
}

struct Members {
  template <class Rows>
  std::string operator()(const hw::Gemm<Rows>& w) const {
    return rows("m", w.m) + number("n", w.n) + number("k", w.k) + precision(w.precision);
  }
  std::string operator()(const hw::GroupedGemm<ExpertRows>& w) const {
    return step(w.rows.step) + number("n", w.n) + number("k", w.k) + precision(w.precision);
  }
  std::string operator()(const hw::GroupedGemm<hw::ExpertRowCounts>& w) const {
    return fmt::format(R"(, "rows": [{}])", fmt::join(w.rows, ", ")) + number("n", w.n) + number("k", w.k) + precision(w.precision) +
           (w.tuned_rows > 0 ? number("tuned_rows", w.tuned_rows) : std::string());
  }
  template <class Rows>
  std::string operator()(const hw::Attention<Rows>& w) const {
    return rows("sequences", w.sequences) + number("query_length", w.query_length) + number("kv_length", w.kv_length) +
           number("heads", w.heads) + number("kv_heads", w.kv_heads) + number("head_dim", w.head_dim) + flag("causal", w.causal) +
           precision(w.precision);
  }
  template <class Rows>
  std::string operator()(const hw::Embedding<Rows>& w) const {
    return rows("tokens", w.tokens) + number("width", w.width) + number("vocabulary", w.vocabulary) + precision(w.precision);
  }
  template <class Rows>
  std::string operator()(const hw::RmsNorm<Rows>& w) const {
    return rows("rows", w.rows) + number("width", w.width) + precision(w.precision);
  }
  template <class Rows>
  std::string operator()(const hw::Rope<Rows>& w) const {
    return rows("rows", w.rows) + number("width", w.width) + precision(w.precision) + number("head_dim", w.head_dim) +
           number("sequence_length", w.sequence_length);
  }
  template <class Rows>
  std::string operator()(const hw::ResidualAdd<Rows>& w) const {
    return rows("rows", w.rows) + number("width", w.width) + precision(w.precision);
  }
  template <class Rows>
  std::string operator()(const hw::Activation<Rows>& w) const {
    return rows("rows", w.rows) + number("width", w.width) + flag("gated", w.gated) + precision(w.precision);
  }
  template <class Rows>
  std::string operator()(const hw::Router<Rows>& w) const {
    return rows("rows", w.rows) + number("width", w.width) + number("experts", w.experts) + number("top_k", w.top_k) +
           precision(w.precision);
  }
  template <class Rows>
  std::string operator()(const hw::Permute<Rows>& w) const {
    return rows("rows", w.rows) + number("width", w.width) + precision(w.precision) + text("order", name_of(w.order));
  }
  template <class Rows>
  std::string operator()(const hw::WeightedSum<Rows>& w) const {
    return rows("tokens", w.tokens) + rows("rows", w.rows) + number("width", w.width) + precision(w.precision);
  }
  std::string operator()(const Collective& w) const {
    return text("axis", ir::name_of(w.axis)) + rows("shard", w.shard) + number("row_bytes", w.row_bytes) + algorithm(w.algorithm);
  }
  std::string operator()(const AllToAll& w) const {
    const bool dispatches = w.direction == AllToAll::Direction::dispatch;
    return text("direction", dispatches ? "dispatch" : "combine") + step(w.step) + number("row_bytes", w.row_bytes) +
           algorithm(w.algorithm);
  }
  std::string operator()(const Send& w) const { return message(w.axis, w.peer, w.tag, w.rows, w.row_bytes); }
  std::string operator()(const Recv& w) const { return message(w.axis, w.peer, w.tag, w.rows, w.row_bytes); }
};

}  // namespace

std::string step_json(const RoutingStep& step) {
  return fmt::format(R"("layer": {}, "micro_batch": {}, "chunk": {})", step.layer, step.micro_batch, step.chunk);
}

std::string extent_json(const Extent& extent) {
  if (extent.of == Extent::Of::constant) return fmt::format("{}", extent.scale);
  return fmt::format(R"({{"of": "{}", "scale": {}, {}}})", name_of(extent.of), extent.scale, step_json(extent.step));
}

std::string kernel_json(const hw::Kernel& kernel) {
  return fmt::format(R"({{"kind": "{}"{}}})", kind_of(kernel), std::visit(Members{}, kernel));
}

std::string work_json(const Work& work) { return fmt::format(R"({{"kind": "{}"{}}})", kind_of(work), std::visit(Members{}, work)); }

}  // namespace fabricast::ir
