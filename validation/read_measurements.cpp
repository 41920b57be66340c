#include "validation/read_measurements.hpp"

#include "validation/nccl_tests.hpp"

namespace fabricast::validation {

namespace {

std::vector<Measurements> read_json(const std::string& text, const std::string& file) {
  const hw::JsonNode document = hw::parse_json_text(text, file);
  if (document.find("schema") == nullptr && document.find("results") != nullptr) return {read_nccl_tests_json(document)};
  return {read_measurements_json(document)};
}

}  // namespace

std::vector<Measurements> read_measurements(const std::filesystem::path& path) {
  const std::string file = path.string();
  const std::string text = read_measurement_text(path);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) throw hw::ConfigError(file + ": is empty");
  if (text[first] == '{') return read_json(text, file);
  if (is_nccl_tests_text(text)) return {read_nccl_tests_text(text, file)};
  const CsvTable table = parse_csv(text, file);
  std::vector<Measurements> published = read_published(table);
  if (!published.empty()) return published;
  if (!table.find("kind")) {
    throw hw::ConfigError(file + ": is neither JSON, nccl-tests' output nor a table that we know; plain tables have a column 'kind'");
  }
  return read_measurements_csv(table);
}

}  // namespace fabricast::validation
