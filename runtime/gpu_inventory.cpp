#include "runtime/gpu_inventory.hpp"

#include <fmt/format.h>
#include <stdio.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <sstream>

namespace fabricast::runtime {
namespace {

std::string trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
  return first == std::string_view::npos ? std::string() : std::string(text.substr(first, last - first + 1));
}

std::vector<std::string> split(std::string_view line, char separator) {
  std::vector<std::string> cells;
  while (true) {
    const std::size_t end = line.find(separator);
    cells.push_back(trimmed(line.substr(0, end)));
    if (end == std::string_view::npos) return cells;
    line.remove_prefix(end + 1);
  }
}

std::optional<std::int64_t> whole(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// Without the escape sequences that a terminal understands: nvidia-smi underlines its heading.
std::string plain(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\x1b') {
      result += text[i];
      continue;
    }
    i = std::min(text.find('m', i), text.size());
  }
  return result;
}

std::vector<std::string> lines_of(std::string_view text) { return split(text, '\n'); }

bool is_gpu_row(const std::vector<std::string>& cells, std::size_t index) { return !cells.empty() && cells[0] == fmt::format("GPU{}", index); }

}  // namespace

std::vector<GpuFacts> parse_gpu_query(std::string_view text) {
  constexpr std::int64_t mebi = 1 << 20;
  std::vector<GpuFacts> gpus;
  for (const std::string& line : lines_of(text)) {
    const std::vector<std::string> cells = split(line, ',');
    if (cells.size() != 4) continue;
    const auto used = whole(cells[2]), total = whole(cells[3]);
    if (used && total) gpus.push_back({cells[0], cells[1], Bytes(*used * mebi), Bytes(*total * mebi)});
  }
  return gpus;
}

std::vector<std::vector<std::string>> parse_gpu_links(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& line : lines_of(plain(text))) {
    std::vector<std::string> cells = split(line, '\t');
    if (!is_gpu_row(cells, rows.size()) || cells.size() < 2) continue;
    if (cells[1].rfind("GPU", 0) == 0) continue;         // the heading, where its first cell is missing
    rows.push_back({cells.begin() + 1, cells.end()});
  }
  for (auto& row : rows) {
    if (row.size() < rows.size()) return {};
    row.resize(rows.size());                             // what follows are NICs and affinities
  }
  return rows;
}

BytesPerSecond parse_best_bus_bandwidth(std::string_view text) {
  constexpr std::size_t bus_column = 7;
  double best = 0;
  for (const std::string& line : lines_of(text)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::vector<std::string> cells;
    for (std::string word; words >> word;) cells.push_back(word);
    if (cells.size() <= bus_column || !whole(cells[0]) || !whole(cells[1])) continue;
    best = std::max(best, std::strtod(cells[bus_column].c_str(), nullptr));
  }
  return BytesPerSecond(best * 1e9);                     // nccl-tests prints GB/s
}

std::string output_of(const std::string& command, Seconds limit) {
  const std::string limited = fmt::format("timeout -k 1 {:.0f} {} 2>/dev/null", limit.value(), command);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(limited.c_str(), "r"), ::pclose);
  std::string text;
  std::array<char, 4096> bytes{};
  while (pipe) {
    const std::size_t got = std::fread(bytes.data(), 1, bytes.size(), pipe.get());
    if (got == 0) break;
    text.append(bytes.data(), got);
  }
  return text;
}

GpuInventory gpus_of_this_node() {
  constexpr Seconds patience{20};
  GpuInventory inventory;
  if (output_of("sh -c 'command -v nvidia-smi'", patience).empty()) {
    inventory.absence = "no GPU: there is no nvidia-smi on the path, hence no driver";
    return inventory;
  }
  inventory.gpus = parse_gpu_query(output_of("nvidia-smi --query-gpu=name,driver_version,memory.used,memory.total --format=csv,noheader,nounits", patience));
  if (inventory.gpus.empty()) {
    inventory.absence = "no GPU: nvidia-smi lists none within 20 s";
    return inventory;
  }
  inventory.links = parse_gpu_links(output_of("nvidia-smi topo -m", patience));
  return inventory;
}

}  // namespace fabricast::runtime
