// Reads what nccl-tests prints: its text table and the JSON of -J (version 3). Knows no model.
#pragma once

#include <string>
#include <string_view>

#include "hardware_models/json_node.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

/// Does the text look like nccl-tests' table? Its comment lines name "nThread" or the columns "size" and "busbw".
[[nodiscard]] bool is_nccl_tests_text(std::string_view text);

/// A row of in-place and out-of-place times becomes one measurement: the out-of-place time, or the in-place one where the other is missing.
/// The kind is read from the line that names the program ("# Collective test starting: all_reduce_perf") or, failing that, told by the
/// ratio of busbw to algbw; `kind` overrides both (empty: neither). Throws hw::ConfigError for a table without rows, one that is cut off
/// within a row, wrong results (#wrong > 0), or a kind that cannot be told.
[[nodiscard]] Measurements read_nccl_tests_text(std::string_view text, const std::string& file, const std::string& kind = {});
[[nodiscard]] Measurements read_nccl_tests_json(const hw::JsonNode& document, const std::string& kind = {});

}  // namespace fabricast::validation
