#include "validation/import_model.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "tests/validation/small_experiment.hpp"
#include "validation/model_config.hpp"

namespace fabricast::import_model_test {

using namespace fabricast;
using strategy::ModelSpec;
using tests::contains;
using tests::replaced;
using validation::ImportedModel;

namespace {

/// The keys that count, written from the dimensions that each model's authors publish.
std::string config(const std::string& type, int layers, int width, int heads, int kv_heads, int vocabulary, const std::string& more) {
  return R"({ "model_type": ")" + type + R"(", "num_hidden_layers": )" + std::to_string(layers) + R"(, "hidden_size": )" + std::to_string(width) +
         R"(, "num_attention_heads": )" + std::to_string(heads) + R"(, "num_key_value_heads": )" + std::to_string(kv_heads) + R"(, "vocab_size": )" +
         std::to_string(vocabulary) + R"(, "max_position_embeddings": 32768, "hidden_act": "silu", "torch_dtype": "bfloat16", "rope_theta": 1e6, )" + more + " }";
}

const std::string llama = config("llama", 32, 4096, 32, 8, 128256, R"("intermediate_size": 14336, "tie_word_embeddings": false)");
const std::string mixtral =
    config("mixtral", 32, 4096, 32, 8, 32000, R"("intermediate_size": 14336, "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": null)");
const std::string qwen3_moe = config("qwen3_moe", 48, 2048, 32, 4, 151936,
                                     R"("head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "intermediate_size": 6144,
  "decoder_sparse_step": 1, "mlp_only_layers": [], "sliding_window": null, "use_sliding_window": false)");

ImportedModel import(const std::string& text) { return validation::read_hugging_face_config(hw::parse_json_text(text, "config.json"), "m"); }

/// With what a model here says: embeddings, projections, norms, MLPs or experts and their router.
std::int64_t parameters(const ModelSpec& m) {
  std::int64_t sum = m.vocab_size * m.d_model * (m.tied_embeddings ? 1 : 2) + m.d_model;
  for (std::int64_t layer = 0; layer < m.layers; ++layer) {
    sum += m.d_model * (m.n_heads + 2 * m.n_kv_heads) * m.d_head + m.n_heads * m.d_head * m.d_model + 2 * m.d_model;
    sum += m.is_moe_layer(layer) ? m.moe->experts_per_layer * (3 * m.d_model * m.moe->d_ff + m.d_model) : 3 * m.d_model * m.d_ff;
  }
  return sum;
}

std::string error_of(const std::string& text) {
  try {
    (void)import(text);
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("an imported model has as many parameters as are published of it, but for those that are said to be left out") {
  struct Published {
    std::string text;
    std::int64_t parameters, left_out;
    std::size_t notes;
  };
  const std::vector<Published> models{
      {llama, 8'030'261'248, 0, 0},
      {config("llama", 80, 8192, 64, 8, 128256, R"("intermediate_size": 28672)"), 70'553'706'496, 0, 0},
      {config("llama", 16, 2048, 32, 8, 128256, R"("intermediate_size": 8192, "head_dim": 64, "tie_word_embeddings": true)"), 1'235'814'400, 0, 0},
      {config("mistral", 32, 4096, 32, 8, 32000, R"("intermediate_size": 14336, "sliding_window": 4096)"), 7'241'732'096, 0, 1},
      {mixtral, 46'702'792'704, 0, 0},
      {config("mixtral", 56, 6144, 48, 8, 32768, R"("intermediate_size": 16384, "num_experts": 8, "num_experts_per_tok": 2)"), 140'630'071'296, 0, 0},
      {config("qwen2", 28, 3584, 28, 4, 152064, R"("intermediate_size": 18944, "sliding_window": 131072, "use_sliding_window": false)"), 7'615'616'512,
       28 * (3584 + 2 * 512), 1},   // biases of q, k and v
      {config("qwen3", 36, 4096, 32, 8, 151936, R"("intermediate_size": 12288, "head_dim": 128)"), 8'190'735'360, 36 * 2 * 128, 1},   // norms of q and k
      {qwen3_moe, 30'532'122'624, 48 * 2 * 128, 1},
  };
  for (const Published& published : models) {
    CAPTURE(published.text);
    const ImportedModel imported = import(published.text);
    CHECK(parameters(imported.model) + published.left_out == published.parameters);
    CHECK(imported.notes.size() == published.notes);
    const ModelSpec read = validation::read_model(hw::parse_json_text(validation::model_text(imported), "model.json"));
    CHECK(parameters(read) == parameters(imported.model));
    CHECK(read.max_sequence_length == imported.model.max_sequence_length);
  }
}

TEST_CASE("the same key means an expert's width in one model and a dense layer's in another") {
  CHECK(import(mixtral).model.moe->d_ff == 14336);
  CHECK(import(mixtral).model.d_ff == 0);
  CHECK(import(qwen3_moe).model.moe->d_ff == 768);
  CHECK(import(qwen3_moe).model.moe->top_k == 8);
  CHECK(import(llama).model.d_ff == 14336);
}

TEST_CASE("MoE layers in the patterns of Qwen are those that its rule gives, or refused") {
  const auto rule = [](std::int64_t layer, std::int64_t step, std::int64_t dense) { return (layer + 1) % step == 0 && layer >= dense; };
  for (const std::int64_t step : {1, 2, 3}) {
    const ModelSpec model = import(replaced(qwen3_moe, "\"decoder_sparse_step\": 1", "\"decoder_sparse_step\": " + std::to_string(step))).model;
    for (std::int64_t layer = 0; layer < model.layers; ++layer) CHECK(model.is_moe_layer(layer) == rule(layer, step, 0));
    CHECK(model.d_ff == (step == 1 ? 0 : 6144));
  }
  const ModelSpec model = import(replaced(qwen3_moe, "\"mlp_only_layers\": []", "\"mlp_only_layers\": [0, 1, 2]")).model;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) CHECK(model.is_moe_layer(layer) == rule(layer, 1, 3));
  CHECK(model.d_ff == 6144);
  CHECK(contains(error_of(replaced(qwen3_moe, "\"mlp_only_layers\": []", "\"mlp_only_layers\": [5]")), "pattern"));
}

TEST_CASE("precision, window and names are taken over") {
  CHECK(import(replaced(llama, "bfloat16", "float16")).model.precision == hw::Precision::fp16);
  CHECK(import(replaced(llama, "torch_dtype", "dtype")).model.precision == hw::Precision::bf16);
  const ModelSpec quantized = import(replaced(llama, "\"hidden_act\"", R"("quantization_config": { "quant_method": "fp8" }, "hidden_act")")).model;
  CHECK(quantized.product_precision() == hw::Precision::fp8);
  CHECK(quantized.precision == hw::Precision::bf16);
  CHECK(import(config("mistral", 32, 4096, 32, 8, 32000, R"("intermediate_size": 14336, "sliding_window": 4096)")).model.max_sequence_length == 4096);
  CHECK(import(llama).model.name == "m");
}

TEST_CASE("what is missing, or cannot be expressed, is told of in one line") {
  for (const std::string key : {"model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size", "max_position_embeddings", "hidden_act"}) {
    CAPTURE(key);
    CHECK(contains(error_of(replaced(llama, "\"" + key + "\"", "\"other_" + key + "\"")), key));
  }
  CHECK(contains(error_of(replaced(qwen3_moe, "\"moe_intermediate_size\"", "\"other\"")), "moe_intermediate_size"));
  CHECK(contains(error_of(replaced(mixtral, "\"num_key_value_heads\"", "\"other\"")), "num_key_value_heads"));
  CHECK(contains(error_of(replaced(llama, "torch_dtype", "other")), "torch_dtype"));
  CHECK(contains(error_of(replaced(llama, "silu", "gelu")), "silu"));
  CHECK(contains(error_of(replaced(llama, "\"model_type\": \"llama\"", "\"model_type\": \"llama4\"")), "llama"));
  CHECK(contains(error_of(replaced(llama, "\"hidden_act\"", R"("quantization_config": { "quant_method": "gptq" }, "hidden_act")")), "gptq"));
  CHECK(contains(error_of(replaced(qwen3_moe, "\"hidden_act\"", R"("shared_expert_intermediate_size": 5632, "hidden_act")")), "shared experts"));
  CHECK(contains(error_of(config("deepseek_v3", 61, 7168, 128, 128, 129280, R"("kv_lora_rank": 512, "n_routed_experts": 256)")), "latent attention"));
  CHECK(contains(error_of(R"({ "model_type": "llava", "text_config": {} })"), "text_config"));
}

}  // namespace fabricast::import_model_test
