// Reads measured times from any file that holds them: our JSON, plain CSV, nccl-tests' output, and tables that others published. Knows
// which format a file is in; the formats have readers of their own.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "hardware_models/json_node.hpp"
#include "validation/csv_table.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

/// One entry for each system in the file, most files hold one. Throws hw::ConfigError: one line with file, line, value and remedy.
[[nodiscard]] std::vector<Measurements> read_measurements(const std::filesystem::path& path);

/// The format "fabricast.measurements/1".
[[nodiscard]] Measurements read_measurements_json(const hw::JsonNode& document);
[[nodiscard]] std::string to_json(const Measurements& measurements);

/// Plain CSV: a column `kind`, columns named as the keys of a kernel or collective in "fabricast.measurements/1", empty where a row has
/// no such key, and one column of times: seconds, ms or us. The rows of a grouped GEMM are separated by blanks. kind `launch` has no keys;
/// kind `step` has `experiment` (a file, from the table's folder), `set` ("path.to.key=value; ...") and `family`.
/// A column `system`, if there is one, sorts the rows into systems.
[[nodiscard]] std::vector<Measurements> read_measurements_csv(const CsvTable& table);

/// Tables of the published collection, told by their columns; nothing if the table is none of them.
[[nodiscard]] std::vector<Measurements> read_published(const CsvTable& table);

/// Throws hw::ConfigError where the times of a row cannot be: zero, negative, above an hour, or p10 <= median <= p90 violated.
[[nodiscard]] Seconds checked_time(double seconds, const Place& place);

}  // namespace fabricast::validation
