// A short name for all that a forecast depends on, so that a result can be recognised as that of the same question.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "hardware_models/json_node.hpp"

namespace fabricast::validation {

/// Sixteen hexadecimal digits. Of an experiment with every file inlined (experiment_document.hpp), the routing file that it names beside
/// `path`, and `settings`: whatever else the result depends on. Comments and the order of keys do not count, nor in which file a value stands.
[[nodiscard]] std::string fingerprint(const hw::JsonNode& document, const std::filesystem::path& path, std::string_view settings);

}  // namespace fabricast::validation
