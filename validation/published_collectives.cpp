// Published tables of NCCL's collectives: aiconfigurator (one node), nccl-tests' tables from issues and guides, Vidur's profiles.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "validation/published_parts.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

using hw::CollectiveKind;

constexpr std::int64_t most_collective_bytes = std::int64_t{1} << 42, most_members = 1 << 16;

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

/// What a cluster's InfiniBand must give way to: "_roce", "_efa", or nothing. One node needs no network.
std::string network_named(const std::string& fabric, std::int64_t nodes) {
  if (nodes == 1) return {};
  if (fabric.find("RoCE") != std::string::npos) return "_roce";
  return fabric.find("EFA") != std::string::npos ? "_efa" : "";
}

Bytes size_of(const CsvTable& table, const CsvTable::Row& row, std::string_view column) {
  const std::int64_t size = table.integer(row, column);
  if (size < 0 || size > most_collective_bytes) table.fail(row, column, "is no size of a collective; write 0 to 4 TiB");
  return Bytes(size);
}

std::int64_t count_in(const CsvTable& table, const CsvTable::Row& row, std::string_view column) {
  const std::int64_t count = table.integer(row, column);
  if (count < 1 || count > most_members) table.fail(row, column, fmt::format("is out of range; write 1 to {}", most_members));
  return count;
}

void add(BySystem& into, const std::string& system, CollectiveMeasurement entry) {
  entry.p10 = entry.p90 = entry.seconds;
  into.of(system).collectives.push_back(std::move(entry));
}

void read_vidur(const CsvTable& table, const CsvTable::Row& row, BySystem& into, CollectiveKind kind, std::string_view column) {
  if (table.integer(row, "rank") != 0) return;   // every rank gives the same call
  const std::int64_t workers = count_in(table, row, "num_workers"), in_node = count_in(table, row, "devices_per_node");
  if (workers != in_node) return into.leave_out("on several nodes, of whose network the source says nothing");
  CollectiveMeasurement entry;
  entry.kind = kind;
  entry.bytes = size_of(table, row, "size");
  entry.gpus_per_node = in_node;
  entry.precision = hw::Precision::fp16;
  entry.seconds = checked_time(table.positive(row, column) * 1e-3, into.place(row));
  entry.place = into.place(row);
  entry.caller = "torch";
  add(into, system_named(table.file), std::move(entry));
}

}  // namespace

void read_nccl_intranode_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  CollectiveMeasurement entry;
  entry.kind = kind_named(table, row, "op");
  entry.bytes = size_of(table, row, "size_bytes");
  entry.gpus_per_node = count_in(table, row, "num_gpus");
  entry.precision = hw::Precision::fp16;
  entry.seconds = checked_time(table.positive(row, "latency_us") * 1e-6, into.place(row));
  entry.place = into.place(row);
  add(into, table.text(row, "system"), std::move(entry));
}

/// The shorter of the out-of-place and in-place times: both move the same bytes, and the table keeps a few disturbed ones.
void read_nccl_tables_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  const std::string system = system_named(table.text(row, "gpu"));
  if (system.empty()) return into.leave_out("no profile stands for " + table.text(row, "gpu"));
  if (table.text(row, "nodes").empty()) return into.leave_out("the number of nodes is not given");
  CollectiveMeasurement entry;
  entry.kind = kind_named(table, row, "op");
  entry.bytes = size_of(table, row, "size_bytes");
  entry.nodes = count_in(table, row, "nodes");
  const std::int64_t gpus = count_in(table, row, "gpus");
  if (gpus % entry.nodes != 0) table.fail(row, "gpus", fmt::format("is no multiple of {} nodes", entry.nodes));
  entry.gpus_per_node = gpus / entry.nodes;
  double time = table.positive(row, "time_us_oop");
  if (!table.text(row, "time_us_ip").empty()) time = std::min(time, table.positive(row, "time_us_ip"));
  entry.seconds = checked_time(time * 1e-6, into.place(row));
  entry.place = into.place(row);
  const std::string network = table.find("fabric") ? network_named(table.text(row, "fabric"), entry.nodes) : std::string();
  add(into, system + network, std::move(entry));
}

void read_vidur_all_reduce_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  read_vidur(table, row, into, CollectiveKind::all_reduce, "time_stats.all_reduce.median");
}

void read_vidur_send_row(const CsvTable& table, const CsvTable::Row& row, BySystem& into) {
  read_vidur(table, row, into, CollectiveKind::send, "time_stats.send_recv.median");
}

}  // namespace fabricast::validation
