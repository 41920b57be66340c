#include "validation/model_config.hpp"

#include <string>
#include <string_view>

#include "tests/validation/small_experiment.hpp"

namespace fabricast::model_config_test {

using namespace fabricast;
using namespace fabricast::tests;
using strategy::ModelSpec;
using validation::read_model;

namespace {

ModelSpec read(const std::string& text) { return read_model(hw::parse_json_text(text, "m.json")); }

std::string error_of(std::string_view from, std::string_view to) {
  try {
    (void)read(replaced(small_model, from, to));
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

const std::string moe = ",\n  \"moe\": { \"experts_per_layer\": 8, \"top_k\": 2, \"d_ff\": 128 }";

}  // namespace

TEST_CASE("a model is read in full") {
  const ModelSpec model = read(small_model);
  CHECK(model.name == "m");
  CHECK(model.layers == 4);
  CHECK(model.d_model == 64);
  CHECK(model.n_heads == 8);
  CHECK(model.n_kv_heads == 2);
  CHECK(model.d_head == 8);
  CHECK(model.vocab_size == 128);
  CHECK(model.max_sequence_length == 256);
  CHECK(model.d_ff == 256);
  CHECK(model.mlp == strategy::MlpKind::swiglu);
  CHECK(model.precision == hw::Precision::bf16);
  REQUIRE(model.moe);
  CHECK(model.moe->experts_per_layer == 8);
  CHECK(model.moe->top_k == 2);
  CHECK(model.moe->d_ff == 128);
}

TEST_CASE("what a model leaves out has its default") {
  const ModelSpec model = read(replaced(small_model, "\"n_kv_heads\": 2, ", ""));
  CHECK(model.n_kv_heads == model.n_heads);
  CHECK(model.causal);
  CHECK(!model.tied_embeddings);
  CHECK(model.moe_every == 1);
  CHECK(model.moe_first == 0);
  CHECK(!read(replaced(small_model, moe, "")).moe);
}

TEST_CASE("choices of a model are read") {
  CHECK(read(replaced(small_model, "swiglu", "gelu")).mlp == strategy::MlpKind::gelu);
  CHECK(read(replaced(small_model, "bf16", "fp8")).precision == hw::Precision::fp8);
  CHECK(!read(replaced(small_model, "\"name\"", "\"causal\": false, \"name\"")).causal);
  CHECK(read(replaced(small_model, "\"name\"", "\"tied_embeddings\": true, \"name\"")).tied_embeddings);
}

// layer l is MoE if l >= first and (l - first) % every = 0
TEST_CASE("every and first choose the MoE layers") {
  const ModelSpec model = read(replaced(small_model, "\"top_k\"", "\"every\": 2, \"first\": 1, \"top_k\""));
  CHECK(!model.is_moe_layer(0));
  CHECK(model.is_moe_layer(1));
  CHECK(!model.is_moe_layer(2));
  CHECK(model.is_moe_layer(3));
}

TEST_CASE("d_ff may be left out exactly where every layer is MoE") {
  CHECK(error_of("\"d_ff\": 256, ", "") == "no error");
  const std::string without = replaced(small_model, "\"d_ff\": 256, ", "");
  for (const auto& text : {replaced(without, moe, ""), replaced(without, "\"top_k\"", "\"first\": 1, \"top_k\""),
                           replaced(without, "\"top_k\"", "\"every\": 2, \"top_k\"")}) {
    CAPTURE(text);
    CHECK_THROWS_WITH_AS((void)read(text), "m.json:1: the key \"d_ff\" is missing; add it", hw::ConfigError);
  }
}

TEST_CASE("sizes of a model that contradict each other are errors with a remedy") {
  CHECK(contains(error_of("\"n_kv_heads\": 2", "\"n_kv_heads\": 3"), "/n_kv_heads: 3: does not divide n_heads 8"));
  CHECK(contains(error_of("\"top_k\": 2", "\"top_k\": 9"), "/moe/top_k: 9: exceeds experts_per_layer 8"));
  CHECK(error_of("\"top_k\": 2", "\"top_k\": 8") == "no error");
  CHECK(contains(error_of("\"top_k\": 2", "\"first\": 4, \"top_k\": 2"), "/moe/first: 4: leaves no MoE layer"));
  CHECK(contains(error_of("\"d_head\": 8", "\"d_head\": 8192"), "/d_head: 8192: makes attention 65536 wide"));
  CHECK(contains(error_of("\"layers\": 4", "\"layers\": 0"), "/layers: 0: is out of range"));
  CHECK(contains(error_of("\"layers\": 4", "\"layers\": -4"), "is out of range"));
  CHECK(contains(error_of("\"layers\": 4", "\"layers\": 4.0"), "must be an integer"));
  CHECK(contains(error_of("\"vocab_size\"", "\"vocabulary_size\""), "the key \"vocab_size\" is missing"));
  CHECK(contains(error_of("\"experts_per_layer\"", "\"experts\""), "/moe: the key \"experts_per_layer\" is missing"));
  CHECK(contains(error_of("swiglu", "SwiGLU"), "did you mean \"swiglu\"?"));
}

// 16384 layers · 3 · 4194304 · 65536 experts · 4194304 = 5.7e22 parameters > 2^53
TEST_CASE("a model whose parameters cannot be counted is an error") {
  std::string text = replaced(small_model, "\"layers\": 4", "\"layers\": 16384");
  text = replaced(text, "\"d_model\": 64", "\"d_model\": 4194304");
  text = replaced(text, "\"d_head\": 8", "\"d_head\": 65536");
  text = replaced(text, "\"experts_per_layer\": 8, \"top_k\": 2, \"d_ff\": 128",
                  "\"experts_per_layer\": 65536, \"top_k\": 2, \"d_ff\": 4194304");
  CHECK_THROWS_WITH_AS((void)read(text),
                       "m.json:1: the model would have 5.67e+22 parameters; at most 2^53 can be counted", hw::ConfigError);
}

TEST_CASE("products and dispatched rows may be narrower than the model") {
  const ModelSpec same = read(small_model);
  CHECK(same.product_precision() == hw::Precision::bf16);
  CHECK(same.dispatch_precision() == hw::Precision::bf16);
  const ModelSpec narrow = read(replaced(replaced(small_model, "\"precision\": \"bf16\"", "\"precision\": \"bf16\", \"gemm_precision\": \"fp8\""), "\"top_k\": 2",
                                         "\"top_k\": 2, \"dispatch_precision\": \"fp8\""));
  CHECK(narrow.precision == hw::Precision::bf16);
  CHECK(narrow.product_precision() == hw::Precision::fp8);
  CHECK(narrow.dispatch_precision() == hw::Precision::fp8);
}

TEST_CASE("rows are dispatched as the model keeps them or as its products read them") {
  CHECK(error_of("\"top_k\": 2", "\"top_k\": 2, \"dispatch_precision\": \"fp8\"") ==
        "m.json:4: /moe/dispatch_precision: \"fp8\": is neither the model's precision, bf16, nor what the experts' products read, bf16; set gemm_precision "
        "to the same");
}

}  // namespace fabricast::model_config_test
