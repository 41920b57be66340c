#include "validation/csv_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <system_error>

#include "hardware_models/config_error.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t most_rows = 200000;
constexpr std::uintmax_t most_file_bytes = std::uintmax_t{64} << 20;
constexpr std::size_t most_columns = 256;

/// The cells of one line; a quoted cell may hold commas, and "" stands for a quote.
std::vector<std::string> cells_of(std::string_view line, const std::string& file, int number) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      cells.back() += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  if (quoted) throw hw::ConfigError(fmt::format("{}:{}: a quoted cell does not end in its line", file, number));
  return cells;
}

void append_line(CsvTable& table, std::string_view line, int number) {
  std::vector<std::string> cells = cells_of(line, table.file, number);
  if (table.columns.empty()) {
    if (cells.size() > most_columns) throw hw::ConfigError(fmt::format("{}:{}: more than {} columns", table.file, number, most_columns));
    table.columns = std::move(cells);
    return;
  }
  if (cells.size() != table.columns.size()) {
    throw hw::ConfigError(fmt::format("{}:{}: {} cells, but the header names {} columns; is the table cut off?", table.file, number,
                                      cells.size(), table.columns.size()));
  }
  if (table.rows.size() == most_rows) {
    throw hw::ConfigError(fmt::format("{}:{}: more than {} rows; thin the table out or split it", table.file, number, most_rows));
  }
  table.rows.push_back({number, std::move(cells)});
}

}  // namespace

CsvTable parse_csv(std::string_view text, const std::string& file) {
  CsvTable table{file, {}, {}};
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.empty() && line.front() != '#') append_line(table, line, number);
  }
  if (table.columns.empty()) throw hw::ConfigError(file + ": holds no table; its first line that is no comment names the columns");
  if (table.rows.empty()) throw hw::ConfigError(file + ": holds a header, but no row");
  return table;
}

std::optional<std::size_t> CsvTable::find(std::string_view column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  if (found == columns.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns.begin());
}

bool CsvTable::has(std::initializer_list<std::string_view> wanted) const {
  return std::all_of(wanted.begin(), wanted.end(), [&](std::string_view column) { return find(column).has_value(); });
}

const std::string& CsvTable::text(const Row& row, std::string_view column) const {
  const auto index = find(column);
  if (!index) throw hw::ConfigError(fmt::format("{}: has no column '{}'", file, column));
  return row.cells[*index];
}

double CsvTable::number(const Row& row, std::string_view column) const {
  const std::string& cell = text(row, column);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size()) fail(row, column, "is no number");
  if (!std::isfinite(value)) fail(row, column, "is not finite; leave the row out");
  return value;
}

double CsvTable::positive(const Row& row, std::string_view column) const {
  const double value = number(row, column);
  if (value <= 0) fail(row, column, "must be above 0; leave rows out that were not measured");
  return value;
}

std::int64_t CsvTable::integer(const Row& row, std::string_view column) const {
  const double value = number(row, column);
  if (std::abs(value) > 1e15 || value != std::floor(value)) fail(row, column, "is no whole number");
  return static_cast<std::int64_t>(value);
}

void CsvTable::fail(const Row& row, std::string_view column, const std::string& message) const {
  throw hw::ConfigError(fmt::format("{}:{}: {}: {}: {}", file, row.line, column, hw::shown(text(row, column)), message));
}

std::string read_measurement_text(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw hw::ConfigError(path.string() + ": is a directory, not a file of measurements");
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw hw::ConfigError(path.string() + ": cannot be read; is the path right?");
  const auto size = static_cast<std::uintmax_t>(file.tellg());
  if (size > most_file_bytes) {
    throw hw::ConfigError(fmt::format("{}: {} MiB; measurements hold at most {} MiB", path.string(), size >> 20, most_file_bytes >> 20));
  }
  std::string text(static_cast<std::size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(text.data(), static_cast<std::streamsize>(text.size()))) throw hw::ConfigError(path.string() + ": cannot be read");
  return text;
}

}  // namespace fabricast::validation
