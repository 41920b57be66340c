// A model from what others write about it: config.json as Hugging Face's transformers keeps it. Knows no file.
#pragma once

#include <string>
#include <vector>

#include "hardware_models/json_node.hpp"
#include "strategies/model_spec.hpp"

namespace fabricast::validation {

struct ImportedModel {
  strategy::ModelSpec model;
  std::string type;                   // "qwen3_moe"
  std::vector<std::string> notes;     // what of the model is left out, since it costs next to nothing; for people
};

/// model_type llama, mistral, mixtral, qwen2, qwen3 or qwen3_moe, by their own keys: intermediate_size is the width of an expert in one and of
/// a dense layer in another. Throws hw::ConfigError for a missing key and for what a ModelSpec cannot say: latent attention and shared experts
/// (deepseek_v2, deepseek_v3, qwen2_moe), another activation, a quantization other than fp8, MoE layers in no regular pattern. Where attention is
/// limited to a window, max_sequence_length is the window's: within it, it makes no difference.
[[nodiscard]] ImportedModel read_hugging_face_config(const hw::JsonNode& config, const std::string& name);

/// The JSON of a model file, ending in a newline. Throws hw::ConfigError where read_model would reject it.
[[nodiscard]] std::string model_text(const ImportedModel& imported);

}  // namespace fabricast::validation
