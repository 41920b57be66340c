// Parts of the readers of published tables: what a row of each table means as kernels. Internal to read_published.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "validation/csv_table.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

inline constexpr double million = 1e6;

/// Rows of one table, sorted into systems.
class BySystem {
 public:
  explicit BySystem(const CsvTable& table) : table_(table) {}

  Measurements& of(const std::string& system);
  /// A row that stands for nothing that is measured here.
  void leave_out(const std::string& reason) { of("").left_out[reason] += 1; }
  [[nodiscard]] Place place(const CsvTable::Row& row) const { return {table_.file, row.line}; }
  [[nodiscard]] std::vector<Measurements> take() && { return std::move(systems_); }

 private:
  const CsvTable& table_;
  std::vector<Measurements> systems_;
};

using ReadRow = void (*)(const CsvTable&, const CsvTable::Row&, BySystem&);

void read_moe_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_wide_ep_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_nccl_intranode_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_nccl_tables_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_vidur_all_reduce_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_vidur_send_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_deepep_normal_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_deepep_low_latency_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_deepep_document_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);
void read_hybrid_ep_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into);

/// "h100_sxm" from "H100 SXM", "a100_dgx", …; empty where no system that we know is named.
[[nodiscard]] std::string system_named(std::string_view text);

}  // namespace fabricast::validation
