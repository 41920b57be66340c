// The plain CSV form of measurements. Each row becomes the JSON object that it stands for, so both forms share one strict reader.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "hardware_models/json_reader.hpp"
#include "validation/kernel_config.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

struct Unit {
  std::string_view column;
  double seconds;
};
constexpr std::array<Unit, 3> units{{{"seconds", 1.0}, {"ms", 1e-3}, {"us", 1e-6}}};

constexpr std::size_t most_systems = 64;

Unit time_column(const CsvTable& table) {
  std::optional<Unit> found;
  for (const Unit& unit : units) {
    if (!table.find(unit.column)) continue;
    if (found) throw hw::ConfigError(fmt::format("{}: has columns '{}' and '{}'; give the times once", table.file, found->column, unit.column));
    found = unit;
  }
  if (!found) throw hw::ConfigError(table.file + ": has no column of times; name it 'seconds', 'ms' or 'us', by its unit");
  return *found;
}

/// "128" is a number, "true" a flag, "3 0 5" in the column rows a list of numbers, all else text.
hw::JsonNode value_of(const std::string& cell, const hw::JsonNode& place, bool list) {
  hw::JsonNode node{nullptr, place.file, place.line, place.pointer};
  if (list) {
    hw::JsonNode::Array items;
    for (std::size_t begin = 0; begin < cell.size();) {
      const std::size_t end = std::min(cell.find(' ', begin), cell.size());
      if (end > begin) items.push_back(value_of(cell.substr(begin, end - begin), place, false));
      begin = end + 1;
    }
    node.value = std::move(items);
    return node;
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  if (error == std::errc{} && end == cell.data() + cell.size()) {
    node.value = number;
  } else if (cell == "true" || cell == "false") {
    node.value = cell == "true";
  } else {
    node.value = cell;
  }
  return node;
}

hw::JsonNode node_of(const CsvTable& table, const CsvTable::Row& row, const Unit& unit) {
  hw::JsonNode node{hw::JsonNode::Object{}, table.file, row.line, ""};
  auto& members = std::get<hw::JsonNode::Object>(node.value);
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const std::string& column = table.columns[i];
    if (column == unit.column || column == "system" || row.cells[i].empty()) continue;
    hw::JsonNode place{nullptr, table.file, row.line, "/" + column};
    const bool list = column == "rows" && table.text(row, "kind") == "grouped_gemm";
    members.emplace_back(column, value_of(row.cells[i], place, list));
  }
  return node;
}

std::string system_of(const CsvTable& table, const CsvTable::Row& row) { return table.find("system") ? table.text(row, "system") : std::string(); }

bool is_collective(const std::string& kind) {
  for (const char* name : {"all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all", "send"}) {
    if (kind == name) return true;
  }
  return false;
}

/// {..., "seconds": {p10, median, p90}} with the one time that a CSV row has.
void add_seconds(hw::JsonNode& node, Seconds time) {
  hw::JsonNode spread{hw::JsonNode::Object{}, node.file, node.line, "/seconds"};
  for (const char* key : {"p10", "median", "p90"}) {
    std::get<hw::JsonNode::Object>(spread.value).emplace_back(key, hw::JsonNode{time.value(), node.file, node.line, "/seconds"});
  }
  std::get<hw::JsonNode::Object>(node.value).emplace_back("seconds", std::move(spread));
}

/// "a=1; b=2".
std::vector<std::string> settings_in(const std::string& cell) {
  std::vector<std::string> settings;
  for (std::size_t begin = 0; begin < cell.size();) {
    const std::size_t end = std::min(cell.find(';', begin), cell.size());
    const std::size_t first = cell.find_first_not_of(' ', begin);
    if (first < end) settings.push_back(cell.substr(first, end - first));
    begin = end + 1;
  }
  return settings;
}

StepMeasurement read_step(const hw::JsonNode& node, Seconds time) {
  hw::ObjectReader reader(node);
  (void)reader.text("kind");
  StepMeasurement step{reader.text("experiment"), settings_in(reader.optional_text("set").value_or("")), "", time, {node.file, node.line}};
  step.family = reader.optional_text("family").value_or(step.experiment);
  reader.finish();
  return step;
}

/// The collectives of the table as one document in JSON's form.
Measurements read_collectives(hw::JsonNode::Array entries, const std::string& file) {
  hw::JsonNode document{hw::JsonNode::Object{}, file, 0, ""};
  auto& members = std::get<hw::JsonNode::Object>(document.value);
  members.emplace_back("schema", hw::JsonNode{std::string("fabricast.measurements/1"), file, 0, "/schema"});
  members.emplace_back("collectives", hw::JsonNode{std::move(entries), file, 0, "/collectives"});
  return read_measurements_json(document);
}

/// The rows of one system.
Measurements read_rows(const CsvTable& table, const std::string& system, const Unit& unit) {
  Measurements result;
  result.system = system;
  result.source = table.file;
  hw::JsonNode::Array collectives;
  for (const CsvTable::Row& row : table.rows) {
    if (system_of(table, row) != system) continue;
    const std::string& kind = table.text(row, "kind");
    const Seconds time = checked_time(table.positive(row, unit.column) * unit.seconds, {table.file, row.line});
    hw::JsonNode node = node_of(table, row, unit);
    if (kind == "launch") {
      result.launch = time;
    } else if (kind == "step") {
      result.steps.push_back(read_step(node, time));
    } else if (is_collective(kind)) {
      add_seconds(node, time);
      collectives.push_back(std::move(node));
    } else {
      result.kernels.push_back(single(read_kernel(node), time, {table.file, row.line}));
    }
  }
  if (!collectives.empty()) result.collectives = read_collectives(std::move(collectives), table.file).collectives;
  return result;
}

}  // namespace

std::vector<Measurements> read_measurements_csv(const CsvTable& table) {
  const Unit unit = time_column(table);
  std::vector<std::string> systems;   // in order of appearance
  for (const CsvTable::Row& row : table.rows) {
    if (std::find(systems.begin(), systems.end(), system_of(table, row)) == systems.end()) systems.push_back(system_of(table, row));
    if (systems.size() > most_systems) table.fail(row, "system", fmt::format("is the {}th system of the table; it may hold {}", systems.size(), most_systems));
  }
  std::vector<Measurements> sets;
  for (const std::string& system : systems) sets.push_back(read_rows(table, system, unit));
  return sets;
}

}  // namespace fabricast::validation
