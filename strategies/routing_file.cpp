#include "strategies/routing_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>

#include "hardware_models/config_error.hpp"

namespace fabricast::strategy {
namespace {

using Table = std::vector<std::vector<std::vector<double>>>;  // [layer][source][expert]

constexpr const char* columns_help = "expected the columns layer, expert, tokens and, if loads differ by source, source";

[[noreturn]] void reject(const std::string& path, std::int64_t line, const std::string& message) {
  throw hw::ConfigError(fmt::format("{}:{}: {}", path, line, message));
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  while (true) {
    const auto comma = line.find(',');
    auto cell = line.substr(0, comma);
    while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) cell.remove_prefix(1);
    while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t' || cell.back() == '\r')) cell.remove_suffix(1);
    cells.push_back(cell);
    if (comma == std::string_view::npos) return cells;
    line.remove_prefix(comma + 1);
  }
}

struct Columns { std::size_t layer, expert, tokens; std::optional<std::size_t> source; std::size_t count; };

Columns read_header(const std::string& path, std::int64_t line, const std::vector<std::string_view>& cells) {
  const auto find = [&](std::string_view name) -> std::optional<std::size_t> {
    const auto at = std::find(cells.begin(), cells.end(), name);
    if (at == cells.end()) return std::nullopt;
    return static_cast<std::size_t>(at - cells.begin());
  };
  for (auto cell = cells.begin(); cell != cells.end(); ++cell) {
    const bool twice = std::find(cells.begin(), cell, *cell) != cell;
    if (twice) reject(path, line, fmt::format("column \"{:.40}\" occurs twice; remove one of the two", *cell));
  }
  const auto layer = find("layer"), expert = find("expert"), tokens = find("tokens");
  if (!layer || !expert || !tokens) reject(path, line, columns_help);
  return {*layer, *expert, *tokens, find("source"), cells.size()};
}

std::int64_t read_integer(const std::string& path, std::int64_t line, std::string_view cell, const char* name, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || value < 0 || value > most) {
    reject(path, line, fmt::format("{} \"{:.40}\" must be a whole number from 0 to {}", name, cell, most));
  }
  return value;
}

constexpr std::size_t longest_line = 4096;

/// False at the end. A byte order mark is no part of the first line; what is no text ends soon.
bool next_line(std::ifstream& file, const std::string& path, std::int64_t number, std::string& line) {
  std::array<char, longest_line> text;
  if (!file.getline(text.data(), text.size())) {
    if (file.eof() || file.bad()) return false;
    reject(path, number, fmt::format("longer than {} characters; is this a CSV file? {}", longest_line - 1, columns_help));
  }
  line = text.data();
  if (number == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
  return true;
}

/// Layers without a row repeat those that have one, so that a profile of a few layers serves a whole model.
void repeat_layers(Table& table, const std::vector<bool>& has_layer) {
  std::vector<std::size_t> given;
  for (std::size_t l = 0; l < table.size(); ++l) {
    if (has_layer[l]) given.push_back(l);
  }
  for (std::size_t l = 0, next = 0; l < table.size(); ++l) {
    if (!has_layer[l]) table[l] = table[given[next++ % given.size()]];
  }
}

void require_enough_experts(const std::string& path, const Table& table, const ir::RoutingShape& shape) {
  for (std::size_t l = 0; l < table.size(); ++l) {
    for (std::size_t s = 0; s < table[l].size(); ++s) {
      const auto used = std::count_if(table[l][s].begin(), table[l][s].end(), [](double w) { return w > 0; });
      if (used < shape.top_k) {
        throw hw::ConfigError(fmt::format("{}: layer {}, source {}: {} experts have tokens, fewer than top_k {}; give every source of a "
                                          "named layer at least top_k loaded experts",
                                          path, l, s, used, shape.top_k));
      }
    }
  }
}

}  // namespace

Table read_routing_file(const std::string& path, const ir::RoutingShape& shape) {
  std::ifstream file(path);
  if (!file) {
    throw hw::ConfigError(fmt::format("{} cannot be read; give the path of a CSV file with the columns layer, expert, tokens", path),
                          "/routing/file");
  }
  constexpr std::int64_t most_tokens = std::int64_t{1} << 40;
  std::optional<Columns> columns;
  std::optional<Table> table;
  std::vector<bool> has_layer(static_cast<std::size_t>(shape.layers), false);
  std::string line;
  for (std::int64_t number = 1; next_line(file, path, number, line); ++number) {
    if (line.empty() || line == "\r" || line.front() == '#') continue;
    const auto cells = split(line);
    if (!columns) {
      columns = read_header(path, number, cells);
      const std::size_t sources = columns->source ? static_cast<std::size_t>(shape.sources) : 1;
      table.emplace(static_cast<std::size_t>(shape.layers),
                    std::vector<std::vector<double>>(sources, std::vector<double>(static_cast<std::size_t>(shape.experts), 0.0)));
      continue;
    }
    if (cells.size() != columns->count) reject(path, number, fmt::format("{} cells where the header has {}", cells.size(), columns->count));
    const auto layer = static_cast<std::size_t>(read_integer(path, number, cells[columns->layer], "layer", shape.layers - 1));
    const auto expert = static_cast<std::size_t>(read_integer(path, number, cells[columns->expert], "expert", shape.experts - 1));
    const auto source = columns->source
                            ? static_cast<std::size_t>(read_integer(path, number, cells[*columns->source], "source", shape.sources - 1))
                            : std::size_t{0};
    (*table)[layer][source][expert] += static_cast<double>(read_integer(path, number, cells[columns->tokens], "tokens", most_tokens));
    has_layer[layer] = true;
  }
  if (!table || std::find(has_layer.begin(), has_layer.end(), true) == has_layer.end()) {
    throw hw::ConfigError(fmt::format("{}: no rows; {}", path, columns_help));
  }
  repeat_layers(*table, has_layer);
  require_enough_experts(path, *table, shape);
  return *std::move(table);
}

}  // namespace fabricast::strategy
