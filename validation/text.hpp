// Numbers as people read them, and aligned tables of them. Knows no report.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::validation {

/// Four significant digits with the unit that suits: "412.3 ms", "1.500 us", "0 s".
[[nodiscard]] std::string show(Seconds time);
/// Powers of two, for memory: "47.21 GiB".
[[nodiscard]] std::string show_memory(Bytes bytes);
/// Powers of ten, for traffic: "153.6 MB".
[[nodiscard]] std::string show_traffic(double bytes);
[[nodiscard]] std::string show(BytesPerSecond rate);
[[nodiscard]] std::string show(FlopPerSecond rate);
/// "31.4 %"; small shares that are not 0 are shown as "<0.1 %".
[[nodiscard]] std::string show_share(double share);
/// 1280000 as "1,280,000"; fractions are rounded.
[[nodiscard]] std::string show_count(double count);
/// "1.84x".
[[nodiscard]] std::string show_factor(double factor);

/// Ways to stress text on a terminal; plain where colour is off.
struct TextStyle {
  bool colour = false;
  [[nodiscard]] std::string strong(std::string_view text) const;
};

constexpr std::size_t page_width = 100;

/// Breaks at blanks so that no line is longer than the page; ends in a newline.
[[nodiscard]] std::string wrap(std::string_view text, std::size_t indent);

/// Columns as wide as their widest cell, two blanks apart, indented by two. The first column is aligned left, others right unless told.
class Table {
 public:
  enum class Align : std::uint8_t { left, right };
  struct Column {
    std::string heading;
    Align align = Align::right;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<std::string> cells);   // missing cells at the end are empty
  void add_rule();
  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] std::vector<std::size_t> widths() const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;   // a rule is a row without cells
};

}  // namespace fabricast::validation
