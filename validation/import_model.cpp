#include "validation/import_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "hardware_models/json_reader.hpp"
#include "validation/json_writer.hpp"
#include "validation/model_config.hpp"

namespace fabricast::validation {

namespace {

using hw::JsonNode;
using hw::ObjectReader;
using strategy::ModelSpec;

const std::vector<std::string> supported{"llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe"};
constexpr std::array latent_attention{"deepseek_v2", "deepseek_v3"};

/// null counts as absent: transformers writes it for what is off.
const JsonNode* present(const JsonNode& config, std::string_view key) {
  const JsonNode* node = config.find(key);
  return node && !std::holds_alternative<std::nullptr_t>(node->value) ? node : nullptr;
}

bool is_on(const JsonNode& config, std::string_view key) {
  const JsonNode* node = present(config, key);
  return node && hw::as_boolean(*node);
}

class ConfigReader {
 public:
  ConfigReader(const JsonNode& config, const std::string& name) : config_(config), reader_(config) { imported_.model.name = name; }

  [[nodiscard]] ImportedModel read() {
    read_type();
    read_size();
    read_activation();
    read_precision();
    read_layers();
    read_window();
    model().tied_embeddings = is_on(config_, "tie_word_embeddings");   // off by default in all supported types
    note_what_is_left_out();
    return std::move(imported_);
  }

 private:
  [[nodiscard]] ModelSpec& model() { return imported_.model; }
  [[nodiscard]] const std::string& type() const { return imported_.type; }

  void read_type() {
    if (const JsonNode* text = present(config_, "text_config")) hw::fail(*text, "belongs to a model of text and images; give the text model's own config.json");
    imported_.type = reader_.text("model_type");
    const JsonNode& node = *config_.find("model_type");
    if (const JsonNode* rank = present(config_, "kv_lora_rank")) hw::fail(*rank, "multi-head latent attention cannot be expressed by a model here, which keeps whole keys and values");
    if (std::find(latent_attention.begin(), latent_attention.end(), type()) != latent_attention.end()) hw::fail(node, "multi-head latent attention cannot be expressed by a model here");
    for (const char* key : {"n_shared_experts", "shared_expert_intermediate_size"}) {
      const JsonNode* shared = present(config_, key);
      if (shared && hw::as_integer(*shared, {0, 1 << 22}) > 0) hw::fail(*shared, "shared experts cannot be expressed by a model here");
    }
    (void)supported[hw::as_choice(node, supported)];
  }

  void read_size() {
    model().layers = reader_.integer("num_hidden_layers");
    model().d_model = reader_.integer("hidden_size");
    model().n_heads = reader_.integer("num_attention_heads");
    model().vocab_size = reader_.integer("vocab_size");
    model().max_sequence_length = reader_.integer("max_position_embeddings");
    const bool one_by_one = type() == "llama" && !present(config_, "num_key_value_heads");   // as LlamaConfig has it
    model().n_kv_heads = one_by_one ? model().n_heads : reader_.integer("num_key_value_heads");
    if (const JsonNode* width = present(config_, "head_dim")) {
      model().d_head = hw::as_integer(*width);
    } else if (model().d_model % model().n_heads == 0) {
      model().d_head = model().d_model / model().n_heads;
    } else {
      hw::fail(*config_.find("hidden_size"), fmt::format("is no multiple of num_attention_heads {}, and there is no head_dim", model().n_heads));
    }
  }

  void read_activation() {
    const JsonNode& activation = reader_.child("hidden_act");
    if (hw::as_text(activation) != "silu") hw::fail(activation, "cannot be expressed by a model here; gated MLPs use silu");
    model().mlp = strategy::MlpKind::swiglu;
  }

  void read_precision() {
    const JsonNode* type_node = present(config_, "torch_dtype") ? present(config_, "torch_dtype") : present(config_, "dtype");
    if (!type_node) hw::fail(config_, "has neither torch_dtype nor dtype; add what the weights are kept in, as in \"torch_dtype\": \"bfloat16\"");
    constexpr std::array precisions{hw::Precision::bf16, hw::Precision::fp16, hw::Precision::fp32};
    model().precision = precisions[hw::as_choice(*type_node, {"bfloat16", "float16", "float32"})];
    const JsonNode* quantization = present(config_, "quantization_config");
    if (!quantization) return;
    ObjectReader keys(*quantization);
    const JsonNode& method = keys.child("quant_method");
    if (hw::as_text(method) != "fp8") hw::fail(method, "cannot be expressed by a model here; only fp8 can, as the precision of the layers' matrix products");
    model().gemm_precision = hw::Precision::fp8;
  }

  void read_layers() {
    if (type() == "mixtral") {
      model().moe = strategy::MoeSpec{experts(), reader_.integer("num_experts_per_tok"), reader_.integer("intermediate_size")};
    } else if (type() == "qwen3_moe") {
      model().moe = strategy::MoeSpec{experts(), reader_.integer("num_experts_per_tok"), reader_.integer("moe_intermediate_size")};
      read_sparse_layers();
    } else {
      model().d_ff = reader_.integer("intermediate_size");
    }
  }

  /// Newer versions of transformers write one for the other.
  [[nodiscard]] std::int64_t experts() {
    return present(config_, "num_local_experts") ? reader_.integer("num_local_experts") : reader_.integer("num_experts");
  }

  /// Layer l has experts if (l + 1) is a multiple of decoder_sparse_step and l is not in mlp_only_layers.
  void read_sparse_layers() {
    const std::int64_t step = reader_.integer("decoder_sparse_step", {1, model().layers});
    const JsonNode& dense = reader_.child("mlp_only_layers");
    std::int64_t first = 0;   // layers before it are all dense
    for (const JsonNode& layer : hw::as_array(dense)) {
      if (hw::as_integer(layer, {0, model().layers - 1}) != first || step != 1) {
        hw::fail(dense, "MoE layers in this pattern cannot be expressed by a model here; dense layers may come first, or between by decoder_sparse_step");
      }
      ++first;
    }
    model().moe_every = step;
    model().moe_first = step > 1 ? step - 1 : first;
    if (step > 1 || first > 0) model().d_ff = reader_.integer("intermediate_size");
  }

  void read_window() {
    const JsonNode* window = present(config_, "sliding_window");
    if (!window || (config_.find("use_sliding_window") && !is_on(config_, "use_sliding_window"))) return;
    const std::int64_t width = hw::as_integer(*window);
    if (width >= model().max_sequence_length) return;
    imported_.notes.push_back(fmt::format("attention reaches back {} tokens; max_sequence_length is that, as longer sequences would be taken to see all", width));
    model().max_sequence_length = width;
  }

  void note_what_is_left_out() {
    const bool biased = type() == "qwen2" || is_on(config_, "attention_bias");
    if (biased) imported_.notes.emplace_back("biases of the attention's projections are left out");
    if (is_on(config_, "mlp_bias")) imported_.notes.emplace_back("biases of the MLPs are left out");
    if (type() == "qwen3" || type() == "qwen3_moe") imported_.notes.emplace_back("norms of queries and keys are left out");
  }

  const JsonNode& config_;
  ObjectReader reader_;
  ImportedModel imported_;
};

}  // namespace

ImportedModel read_hugging_face_config(const JsonNode& config, const std::string& name) { return ConfigReader(config, name).read(); }

std::string model_text(const ImportedModel& imported) {
  const ModelSpec& model = imported.model;
  std::string source = fmt::format("config.json of model_type {}", imported.type);
  for (const std::string& note : imported.notes) source += "; " + note;
  JsonWriter json;
  json.open_object();
  json.field("name", model.name);
  json.field("source", source);
  json.field("layers", model.layers);
  json.field("d_model", model.d_model);
  json.field("n_heads", model.n_heads);
  json.field("n_kv_heads", model.n_kv_heads);
  json.field("d_head", model.d_head);
  json.field("vocab_size", model.vocab_size);
  json.field("max_sequence_length", model.max_sequence_length);
  if (model.d_ff > 0) json.field("d_ff", model.d_ff);
  json.field("mlp", "swiglu");
  json.field("precision", hw::name_of(model.precision));
  if (model.gemm_precision) json.field("gemm_precision", hw::name_of(*model.gemm_precision));
  if (model.tied_embeddings) json.field("tied_embeddings", true);
  if (model.moe) {
    json.open_object("moe");
    json.field("experts_per_layer", model.moe->experts_per_layer);
    json.field("top_k", model.moe->top_k);
    json.field("d_ff", model.moe->d_ff);
    if (model.moe_every != 1) json.field("every", model.moe_every);
    if (model.moe_first != 0) json.field("first", model.moe_first);
    json.close();
  }
  json.close();
  std::string text = std::move(json).text();
  (void)read_model(hw::parse_json_text(text, "the imported model"));
  return text;
}

}  // namespace fabricast::validation
