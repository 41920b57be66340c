#include "validation/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <span>
#include <utility>

namespace fabricast::validation {

namespace {

struct Prefix {
  double factor;
  std::string_view unit;
};

/// Four significant digits: 1.234, 12.34, 123.4, 1234.
std::string four_digits(double value) {
  const double size = std::abs(value);
  const int decimals = size >= 999.95 ? 0 : size >= 99.995 ? 1 : size >= 9.9995 ? 2 : 3;
  return fmt::format("{:.{}f}", value, decimals);
}

/// `prefixes` from the largest factor to the smallest.
std::string scaled(double value, std::span<const Prefix> prefixes, std::string_view plain_unit) {
  if (value == 0) return fmt::format("0 {}", plain_unit);
  for (const Prefix& prefix : prefixes) {
    if (std::abs(value) >= prefix.factor) return fmt::format("{} {}", four_digits(value / prefix.factor), prefix.unit);
  }
  return fmt::format("{} {}", four_digits(value / prefixes.back().factor), prefixes.back().unit);
}

std::string pad(std::string_view text, std::size_t width, Table::Align align) {
  return align == Table::Align::left ? fmt::format("{:<{}}", text, width) : fmt::format("{:>{}}", text, width);
}

void strip_trailing_blanks(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

}  // namespace

std::string show(Seconds time) {
  constexpr std::array<Prefix, 5> prefixes{{{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}, {1e-12, "ps"}}};
  return scaled(time.value(), prefixes, "s");
}

std::string show_memory(Bytes bytes) {
  constexpr std::array<Prefix, 4> prefixes{{{0x1p30, "GiB"}, {0x1p20, "MiB"}, {0x1p10, "KiB"}, {1, "B"}}};
  return scaled(static_cast<double>(bytes.value()), prefixes, "B");
}

std::string show_traffic(double bytes) {
  constexpr std::array<Prefix, 6> prefixes{{{1e15, "PB"}, {1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}};
  return scaled(bytes, prefixes, "B");
}

std::string show(BytesPerSecond rate) {
  constexpr std::array<Prefix, 3> prefixes{{{1e9, "GB/s"}, {1e6, "MB/s"}, {1e3, "kB/s"}}};
  return scaled(rate.value(), prefixes, "B/s");
}

std::string show(FlopPerSecond rate) {
  constexpr std::array<Prefix, 2> prefixes{{{1e12, "TFLOP/s"}, {1e9, "GFLOP/s"}}};
  return scaled(rate.value(), prefixes, "FLOP/s");
}

std::string show_share(double share) {
  if (share > 0 && share < 0.0005) return "<0.1 %";
  return fmt::format("{:.1f} %", 100 * share);
}

std::string show_count(double count) {
  std::string digits = fmt::format("{:.0f}", std::abs(count));
  for (std::size_t place = digits.size(); place > 3;) {
    place -= 3;
    digits.insert(place, 1, ',');
  }
  return count <= -0.5 ? "-" + digits : digits;
}

std::string show_factor(double factor) { return fmt::format("{:.2f}x", factor); }

std::string TextStyle::strong(std::string_view text) const {
  return colour ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

std::string wrap(std::string_view text, std::size_t indent) {
  std::string out, line;
  const auto flush = [&] {
    out += std::string(indent, ' ') + line + '\n';
    line.clear();
  };
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
    if (!line.empty() && indent + line.size() + 1 + word.size() > page_width) flush();
    if (!line.empty()) line += ' ';
    line += word;
  }
  flush();
  return out;
}

void Table::add(std::vector<std::string> cells) {
  assert(!cells.empty() && cells.size() <= columns_.size() && "a row has at most as many cells as the table has columns");
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

void Table::add_rule() { rows_.emplace_back(); }

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> result;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = columns_[c].heading.size();
    for (const auto& row : rows_) {
      if (!row.empty()) width = std::max(width, row[c].size());
    }
    result.push_back(width);
  }
  return result;
}

std::string Table::text() const {
  const std::vector<std::size_t> width = widths();
  std::size_t total = 2 * (columns_.size() - 1);
  for (const std::size_t w : width) total += w;
  std::string out;
  const auto print = [&](const auto& cell_of) {
    std::string line = "  ";
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) line += "  ";
      line += pad(cell_of(c), width[c], columns_[c].align);
    }
    strip_trailing_blanks(line);
    out += line + '\n';
  };
  const bool headed = std::any_of(columns_.begin(), columns_.end(), [](const Column& column) { return !column.heading.empty(); });
  if (headed) print([&](std::size_t c) -> std::string_view { return columns_[c].heading; });
  for (const auto& row : rows_) {
    if (row.empty()) {
      out += "  " + std::string(total, '-') + '\n';
    } else {
      print([&](std::size_t c) -> std::string_view { return row[c]; });
    }
  }
  return out;
}

}  // namespace fabricast::validation
