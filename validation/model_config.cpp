#include "validation/model_config.hpp"

#include <fmt/format.h>

#include "hardware_models/json_reader.hpp"

namespace fabricast::validation {
namespace {

using hw::IntegerRange;
using hw::ObjectReader;
using strategy::MlpKind;
using strategy::ModelSpec;

// Bounds some hundred times beyond any published model; products of the sizes that they bound stay within 64 bits.
constexpr IntegerRange layer_range{1, 1 << 14};
constexpr IntegerRange width_range{1, 1 << 22};
constexpr IntegerRange head_range{1, 1 << 14};
constexpr IntegerRange vocabulary_range{1, 1 << 28};
constexpr IntegerRange length_range{1, std::int64_t{1} << 32};
constexpr IntegerRange expert_range{1, 1 << 16};

constexpr double most_parameters = 9007199254740992.0;  // 2^53: counts stay exact in a double
constexpr std::int64_t most_width_ratio = 16;           // n_heads · d_head against d_model; published models lie between 1/2 and 4

const std::vector<std::pair<std::string, hw::Precision>> precisions{
    {"bf16", hw::Precision::bf16}, {"fp16", hw::Precision::fp16}, {"fp8", hw::Precision::fp8}, {"fp32", hw::Precision::fp32}};

void check_dispatch_precision(const hw::JsonNode& moe, const ModelSpec& model) {
  const hw::Precision dispatched = model.dispatch_precision();
  if (dispatched == model.precision || dispatched == model.product_precision()) return;
  hw::fail(*moe.find("dispatch_precision"), fmt::format("is neither the model's precision, {}, nor what the experts' products read, {}; set "
                                                        "gemm_precision to the same",
                                                        hw::name_of(model.precision), hw::name_of(model.product_precision())));
}

void read_moe(const hw::JsonNode& node, ModelSpec& model) {
  ObjectReader reader(node);
  strategy::MoeSpec moe;
  moe.experts_per_layer = reader.integer("experts_per_layer", expert_range);
  moe.top_k = reader.integer("top_k", expert_range);
  moe.d_ff = reader.integer("d_ff", width_range);
  moe.dispatch_precision = reader.optional_choice<hw::Precision>("dispatch_precision", precisions);
  model.moe_every = reader.optional_integer("every", layer_range).value_or(1);
  model.moe_first = reader.optional_integer("first", {0, layer_range.most}).value_or(0);
  reader.finish();
  if (moe.top_k > moe.experts_per_layer) {
    hw::fail(*node.find("top_k"),
             fmt::format("exceeds experts_per_layer {}; a token goes to top_k distinct experts", moe.experts_per_layer));
  }
  if (model.moe_first >= model.layers) {
    hw::fail(*node.find("first"), fmt::format("leaves no MoE layer, since layers are 0 to {}; lower it, or remove moe", model.layers - 1));
  }
  model.moe = moe;
  check_dispatch_precision(node, model);
}

bool has_dense_layer(const ModelSpec& model) { return !model.moe || model.moe_first > 0 || (model.moe_every > 1 && model.layers > 1); }

void check_heads(const hw::JsonNode& node, const ModelSpec& model) {
  if (model.n_heads % model.n_kv_heads != 0) {
    hw::fail(*node.find("n_kv_heads"),
             fmt::format("does not divide n_heads {}; each key-value head serves equally many heads", model.n_heads));
  }
  const std::int64_t attention_width = model.n_heads * model.d_head;
  if (attention_width > most_width_ratio * model.d_model || model.d_model > most_width_ratio * attention_width) {
    hw::fail(*node.find("d_head"), fmt::format("makes attention {} wide (n_heads {} · d_head) beside d_model {}; they should be alike",
                                               attention_width, model.n_heads, model.d_model));
  }
}

/// Matrices of the experts, of dense layers and of the embedding: the parts that can grow without bound.
double parameters(const ModelSpec& model) {
  const double matrices = model.mlp == MlpKind::swiglu ? 3 : 2;
  const double width = static_cast<double>(model.d_model), layers = static_cast<double>(model.layers);
  const double experts = model.moe ? static_cast<double>(model.moe->experts_per_layer) * static_cast<double>(model.moe->d_ff) : 0;
  return layers * matrices * width * (experts + static_cast<double>(model.d_ff)) + width * static_cast<double>(model.vocab_size);
}

void check_size(const hw::JsonNode& node, const ModelSpec& model) {
  const double count = parameters(model);
  if (count > most_parameters) hw::fail(node, fmt::format("the model would have {:.3g} parameters; at most 2^53 can be counted", count));
}

}  // namespace

ModelSpec read_model(const hw::JsonNode& node) {
  ObjectReader reader(node);
  ModelSpec model;
  model.name = reader.text("name");
  model.layers = reader.integer("layers", layer_range);
  model.d_model = reader.integer("d_model", width_range);
  model.n_heads = reader.integer("n_heads", head_range);
  model.n_kv_heads = reader.optional_integer("n_kv_heads", head_range).value_or(model.n_heads);
  model.d_head = reader.integer("d_head", {1, 1 << 16});
  model.vocab_size = reader.integer("vocab_size", vocabulary_range);
  model.max_sequence_length = reader.integer("max_sequence_length", length_range);
  model.mlp = reader.choice<MlpKind>("mlp", {{"swiglu", MlpKind::swiglu}, {"gelu", MlpKind::gelu}});
  model.precision = reader.choice<hw::Precision>("precision", precisions);
  model.gemm_precision = reader.optional_choice<hw::Precision>("gemm_precision", precisions);
  model.causal = reader.optional_boolean("causal").value_or(true);
  model.tied_embeddings = reader.optional_boolean("tied_embeddings").value_or(false);
  if (const hw::JsonNode* moe = reader.optional_child("moe")) read_moe(*moe, model);
  model.d_ff = has_dense_layer(model) ? reader.integer("d_ff", width_range) : reader.optional_integer("d_ff", width_range).value_or(0);
  reader.finish();
  check_heads(node, model);
  check_size(node, model);
  return model;
}

}  // namespace fabricast::validation
