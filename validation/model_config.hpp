// Reads a model from its configuration. Knows no parallelism and no hardware.
#pragma once

#include "hardware_models/json_node.hpp"
#include "strategies/model_spec.hpp"

namespace fabricast::validation {

/// Keys as in strategy::ModelSpec; optional: n_kv_heads (n_heads), causal (true), tied_embeddings (false), moe (none: dense),
/// moe.every (1), moe.first (0), and d_ff where every layer is MoE. Throws hw::ConfigError.
[[nodiscard]] strategy::ModelSpec read_model(const hw::JsonNode& node);

}  // namespace fabricast::validation
