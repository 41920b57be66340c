// Published tables of NCCL's collectives: aiconfigurator (one node), nccl-tests' tables from issues and guides, Vidur's profiles.
#include <array>
#include <utility>

#include "validation/published_parts.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

using hw::CollectiveKind;

CollectiveKind kind_named(const CsvTable& table, const CsvTable::Row& row, std::string_view column) {
  constexpr std::array<std::pair<std::string_view, CollectiveKind>, 8> names{{{"all_reduce", CollectiveKind::all_reduce},
                                                                              {"all_gather", CollectiveKind::all_gather},
                                                                              {"reduce_scatter", CollectiveKind::reduce_scatter},
                                                                              {"broadcast", CollectiveKind::broadcast},
                                                                              {"alltoall", CollectiveKind::all_to_all},
                                                                              {"all_to_all", CollectiveKind::all_to_all},
                                                                              {"sendrecv", CollectiveKind::send},
                                                                              {"send_recv", CollectiveKind::send}}};
  for (const auto& [name, kind] : names) {
    if (table.text(row, column) == name) return kind;
  }
  table.fail(row, column, "is no collective that we know");
}

void add(BySystem& into, const std::string& system, CollectiveMeasurement entry) {
  entry.p10 = entry.p90 = entry.seconds;
  into.of(system).collectives.push_back(std::move(entry));
}

void read_vidur(const CsvTable& table, const CsvTable::Row& row, BySystem& into, CollectiveKind kind, std::string_view column) {
  if (table.integer(row, "rank") != 0) return;   // every rank gives the same call
  const std::int64_t workers = table.integer(row, "num_workers"), in_node = table.integer(row, "devices_per_node");
  if (workers < 2 || in_node < 1 || workers % in_node != 0) return;
  CollectiveMeasurement entry;
  entry.kind = kind;
  entry.bytes = Bytes(table.integer(row, "size"));
  entry.nodes = workers / in_node;
  entry.gpus_per_node = in_node;
  entry.precision = hw::Precision::fp16;
  entry.seconds = checked_time(table.positive(row, column) * 1e-3, into.place(row));
  entry.place = into.place(row);
  add(into, system_named(table.file), std::move(entry));
}

}  // namespace

void read_nccl_intranode_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  CollectiveMeasurement entry;
  entry.kind = kind_named(table, row, "op");
  entry.bytes = Bytes(table.integer(row, "size_bytes"));
  entry.gpus_per_node = table.integer(row, "num_gpus");
  entry.precision = hw::Precision::fp16;
  entry.seconds = checked_time(table.positive(row, "latency_us") * 1e-6, into.place(row));
  entry.place = into.place(row);
  add(into, table.text(row, "system"), std::move(entry));
}

/// The shorter of the out-of-place and in-place times: both move the same bytes, and the table keeps a few disturbed ones.
void read_nccl_tables_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  const std::string system = system_named(table.text(row, "gpu"));
  if (system.empty() || table.text(row, "nodes").empty()) return;
  CollectiveMeasurement entry;
  entry.kind = kind_named(table, row, "op");
  entry.bytes = Bytes(table.integer(row, "size_bytes"));
  entry.nodes = table.integer(row, "nodes");
  entry.gpus_per_node = table.integer(row, "gpus") / entry.nodes;
  double time = table.positive(row, "time_us_oop");
  if (!table.text(row, "time_us_ip").empty()) time = std::min(time, table.positive(row, "time_us_ip"));
  entry.seconds = checked_time(time * 1e-6, into.place(row));
  entry.place = into.place(row);
  add(into, system, std::move(entry));
}

void read_vidur_all_reduce_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  read_vidur(table, row, into, CollectiveKind::all_reduce, "time_stats.all_reduce.median");
}

void read_vidur_send_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  read_vidur(table, row, into, CollectiveKind::send, "time_stats.send_recv.median");
}

}  // namespace fabricast::validation
