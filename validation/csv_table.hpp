// Tables of comma-separated values, each cell with its line. Lines that begin with # are comments. Knows no columns: readers ask for them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fabricast::validation {

/// At most 64 MiB and 200,000 rows; every row has as many cells as the header. Cells may be quoted ("a, b", quotes doubled).
struct CsvTable {
  struct Row {
    int line;
    std::vector<std::string> cells;
  };
  std::string file;
  std::vector<std::string> columns;
  std::vector<Row> rows;

  [[nodiscard]] std::optional<std::size_t> find(std::string_view column) const;
  [[nodiscard]] bool has(std::initializer_list<std::string_view> wanted) const;

  /// The cell's value. Throws hw::ConfigError with file, line, column and value where it is no such number or is not finite.
  [[nodiscard]] const std::string& text(const Row& row, std::string_view column) const;
  [[nodiscard]] double number(const Row& row, std::string_view column) const;
  [[nodiscard]] double positive(const Row& row, std::string_view column) const;
  [[nodiscard]] std::int64_t integer(const Row& row, std::string_view column) const;

  [[noreturn]] void fail(const Row& row, std::string_view column, const std::string& message) const;
};

/// Throws hw::ConfigError for a table without header or rows, one that ends within a row, or one that is too large.
[[nodiscard]] CsvTable parse_csv(std::string_view text, const std::string& file);

/// The whole file, up to 64 MiB. Throws hw::ConfigError for a missing or unreadable file or a directory.
[[nodiscard]] std::string read_measurement_text(const std::filesystem::path& path);

}  // namespace fabricast::validation
