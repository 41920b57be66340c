// Where something was measured, as JSON: what is not known is left out. Knows no measurement.
#pragma once

#include "hardware_models/json_node.hpp"
#include "runtime/machine.hpp"
#include "validation/json_writer.hpp"

namespace fabricast::validation {

/// Throws hw::ConfigError.
[[nodiscard]] runtime::Machine read_machine(const hw::JsonNode& node);

/// The member "machine" of the object that is open.
void write_machine(JsonWriter& json, const runtime::Machine& machine);

/// For a line about a machine: ", attention: cuDNN 9.19.0"; empty where none ran.
[[nodiscard]] std::string attention_text(const runtime::Machine& machine);

}  // namespace fabricast::validation
