// `nvidia-smi topo -m`: a matrix with tabs between its cells, whose first line begins with a tab and names the columns.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "hardware_models/config_error.hpp"
#include "validation/node_facts.hpp"

namespace fabricast::validation {

namespace {

constexpr std::int64_t most_nvlinks = 18;   // of any chip so far: Hopper and Blackwell

/// Less colour codes (ESC [ … letter) and blanks at both ends.
std::string cleaned(std::string_view cell) {
  std::string plain;
  for (std::size_t i = 0; i < cell.size(); ++i) {
    if (cell[i] != '\x1b') {
      plain += cell[i];
      continue;
    }
    while (i < cell.size() && (cell[i] < 'A' || cell[i] == '[')) ++i;
  }
  const std::size_t begin = plain.find_first_not_of(" \r");
  if (begin == std::string::npos) return {};
  return plain.substr(begin, plain.find_last_not_of(" \r") - begin + 1);
}

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find('\t', begin), line.size());
    cells.push_back(cleaned(line.substr(begin, end - begin)));
    begin = end + 1;
  }
  return cells;
}

bool is_numbered(const std::string& cell, std::string_view prefix) {
  return cell.size() > prefix.size() && cell.rfind(prefix, 0) == 0 && cell.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
}

struct Line {
  int number;
  std::vector<std::string> cells;
};

class Matrix {
 public:
  Matrix(std::string_view text, const std::string& file) : file_(file) {
    int number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      add({++number, cells_of(text.substr(begin, end - begin))});
      begin = end + 1;
    }
    if (gpu_columns_.empty()) throw hw::ConfigError(file + ": holds no matrix of `nvidia-smi topo -m`: no line names GPU0 after a tab");
    if (rows_.size() != gpu_columns_.size()) {
      throw hw::ConfigError(fmt::format("{}: {} columns of GPUs and {} rows: is the file cut off?", file_, gpu_columns_.size(), rows_.size()));
    }
  }

  [[nodiscard]] NodeFacts facts() const {
    NodeFacts facts;
    facts.gpus = static_cast<std::int64_t>(rows_.size());
    facts.nics = nics_;
    std::int64_t most_of_a_pair = 0, fewest_sum = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      std::int64_t sum = 0;
      for (std::size_t j = 0; j < rows_.size(); ++j) {
        if (i == j) continue;
        sum += links(rows_[i], j);
        most_of_a_pair = std::max(most_of_a_pair, links(rows_[i], j));
      }
      fewest_sum = i == 0 ? sum : std::min(fewest_sum, sum);
    }
    const bool switched = fewest_sum > most_nvlinks;
    facts.nvlinks = switched ? most_of_a_pair : fewest_sum;
    if (!switched && rows_.size() > 2) {
      facts.notes.push_back("GPUs are joined pair by pair; the model of a node is a switch that all of a GPU's links go to, so one pair alone is forecast too fast");
    }
    return facts;
  }

 private:
  void add(Line line) {
    if (gpu_columns_.empty()) {
      if (line.cells.front().empty()) add_columns(line);
      return;
    }
    if (is_numbered(line.cells.front(), "GPU")) rows_.push_back(std::move(line));
  }

  void add_columns(const Line& line) {
    for (std::size_t i = 1; i < line.cells.size(); ++i) {
      if (is_numbered(line.cells[i], "GPU")) gpu_columns_.push_back(i);
      if (is_numbered(line.cells[i], "NIC") || line.cells[i].rfind("mlx5_", 0) == 0) nics_ += 1;
    }
  }

  /// Of the cell NV12 or NV#12.
  [[nodiscard]] std::int64_t links(const Line& row, std::size_t gpu) const {
    const std::size_t column = gpu_columns_[gpu];
    if (column >= row.cells.size()) throw hw::ConfigError(fmt::format("{}:{}: {} cells, and the header has more", file_, row.number, row.cells.size()));
    const std::string& cell = row.cells[column];
    if (!is_numbered(cell, "NV")) {
      throw hw::ConfigError(fmt::format("{}:{}: {} to GPU{}: {} is no NVLink; the model of a node joins all its GPUs by NVLink", file_, row.number,
                                        row.cells.front(), gpu, hw::shown(cell)));
    }
    std::int64_t count = 0;
    std::from_chars(cell.data() + 2, cell.data() + cell.size(), count);
    if (count < 1 || count > most_nvlinks) throw hw::ConfigError(fmt::format("{}:{}: {}: no chip has so many NVLinks", file_, row.number, hw::shown(cell)));
    return count;
  }

  const std::string& file_;
  std::vector<std::size_t> gpu_columns_;
  std::vector<Line> rows_;
  std::int64_t nics_ = 0;
};

}  // namespace

NodeFacts read_nvidia_smi_topo(std::string_view text, const std::string& file) { return Matrix(text, file).facts(); }

}  // namespace fabricast::validation
