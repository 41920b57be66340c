#include "validation/kernel_config.hpp"

#include <utility>

namespace fabricast::validation {

namespace {

using hw::ObjectReader;
using hw::Precision;
using Rows = std::int64_t;

constexpr hw::IntegerRange size_range{1, std::int64_t{1} << 31};
constexpr hw::IntegerRange row_count{0, std::int64_t{1} << 31};

Precision precision(ObjectReader& reader) {
  return reader.choice<Precision>("precision",
                                  {{"fp32", Precision::fp32}, {"fp16", Precision::fp16}, {"bf16", Precision::bf16}, {"fp8", Precision::fp8}});
}

hw::RowOrder order(ObjectReader& reader) {
  using hw::RowOrder;
  return reader
      .optional_choice<RowOrder>("order", {{"by_destination", RowOrder::by_destination}, {"by_expert", RowOrder::by_expert},
                                           {"by_arrival", RowOrder::by_arrival}})
      .value_or(RowOrder::by_destination);
}

hw::Kernel read_grouped(ObjectReader& reader) {
  hw::GroupedGemm<hw::ExpertRowCounts> work{};
  const hw::JsonNode& rows = reader.child("rows");
  for (const hw::JsonNode& count : hw::as_array(rows)) work.rows.push_back(hw::as_integer(count, row_count));
  if (work.rows.empty()) hw::fail(rows, "lists no expert; give the rows of each");
  work.n = reader.integer("n", size_range);
  work.k = reader.integer("k", size_range);
  work.precision = precision(reader);
  work.tuned_rows = reader.optional_integer("tuned_rows", row_count).value_or(0);
  return work;
}

hw::Kernel read_attention(ObjectReader& reader) {
  hw::Attention<Rows> work{};
  work.sequences = reader.integer("sequences", row_count);
  work.query_length = reader.integer("query_length", size_range);
  work.kv_length = reader.integer("kv_length", size_range);
  work.heads = reader.integer("heads", size_range);
  work.kv_heads = reader.integer("kv_heads", size_range);
  work.head_dim = reader.integer("head_dim", size_range);
  work.causal = reader.boolean("causal");
  work.precision = precision(reader);
  if (work.heads % work.kv_heads != 0) hw::fail(reader.node(), "kv_heads must divide heads");
  return work;
}

hw::Kernel read_rope(ObjectReader& reader) {
  const Rows rows = reader.integer("rows", row_count), width = reader.integer("width", size_range);
  const Precision p = precision(reader);
  return hw::Rope<Rows>{rows, width, p, reader.optional_integer("head_dim", row_count).value_or(0),
                        reader.optional_integer("sequence_length", row_count).value_or(0)};
}

hw::Kernel read_by_kind(ObjectReader& reader, const std::string& kind) {
  const auto rows = [&](std::string_view key = "rows") { return reader.integer(key, row_count); };
  const auto dimension = [&](std::string_view key) { return reader.integer(key, size_range); };
  if (kind == "gemm") return hw::Gemm<Rows>{rows("m"), dimension("n"), dimension("k"), precision(reader)};
  if (kind == "grouped_gemm") return read_grouped(reader);
  if (kind == "attention") return read_attention(reader);
  if (kind == "embedding") return hw::Embedding<Rows>{rows("tokens"), dimension("width"), dimension("vocabulary"), precision(reader)};
  if (kind == "rms_norm") return hw::RmsNorm<Rows>{rows(), dimension("width"), precision(reader)};
  if (kind == "rope") return read_rope(reader);
  if (kind == "residual_add") return hw::ResidualAdd<Rows>{rows(), dimension("width"), precision(reader)};
  if (kind == "activation") return hw::Activation<Rows>{rows(), dimension("width"), reader.boolean("gated"), precision(reader)};
  if (kind == "router") return hw::Router<Rows>{rows(), dimension("width"), dimension("experts"), dimension("top_k"), precision(reader)};
  if (kind == "permute") return hw::Permute<Rows>{rows(), dimension("width"), precision(reader), order(reader)};
  return hw::WeightedSum<Rows>{rows("tokens"), rows(), dimension("width"), precision(reader)};
}

}  // namespace

hw::Kernel read_kernel(const hw::JsonNode& node) {
  static const std::vector<std::string> kinds{"gemm",         "grouped_gemm", "attention", "embedding", "rms_norm",    "rope",
                                              "residual_add", "activation",   "router",    "permute",   "weighted_sum"};
  ObjectReader reader(node);
  const std::string kind = kinds[hw::as_choice(reader.child("kind"), kinds)];
  hw::Kernel kernel = read_by_kind(reader, kind);
  reader.finish();
  return kernel;
}

}  // namespace fabricast::validation
