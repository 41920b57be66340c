#include "validation/collective_parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "validation/profile_writer.hpp"

namespace fabricast::validation {

namespace {

using LibraryForm = CollectiveParameter::Form;
using hw::CollectiveKind;
using hw::CollectiveSpec;
using hw::LibraryKernels;
using hw::TransferMode;

constexpr double least_link_share = 1e-3;            // as collective_config.cpp reads it
constexpr double longest_latency = 1e-2, shortest_change = 1e-9;
constexpr double most_library_bytes = 4e9, most_channel_rate = 1e13;

using ModeField = TransferMode LibraryKernels::*;

struct Mode {
  const char* name;
  ModeField field;
};
constexpr Mode ll{"ll", &LibraryKernels::ll}, ll128{"ll128", &LibraryKernels::ll128}, simple{"simple", &LibraryKernels::simple},
    point_to_point{"point_to_point", &LibraryKernels::point_to_point}, nvls{"nvls", &LibraryKernels::nvls},
    nvls_tree{"nvls_tree", &LibraryKernels::nvls_tree};

/// The same constant of several modes, which move together; the first one's is where it starts.
CollectiveParameter mode_seconds(std::vector<Mode> modes, const char* key, Seconds TransferMode::*field, double typical) {
  CollectiveParameter p{{}, LibraryForm::seconds, 0.0, longest_latency, shortest_change, typical, {}, {}};
  for (const Mode& mode : modes) p.pointers.push_back(fmt::format("/kernels/{}/{}", mode.name, key));
  p.get = [modes, field](const CollectiveSpec& spec) { return ((*spec.kernels).*modes.front().field.*field).value(); };
  p.set = [modes, field](CollectiveSpec& spec, double value) {
    for (const Mode& mode : modes) (*spec.kernels).*mode.field.*field = Seconds(value);
  };
  return p;
}

CollectiveParameter mode_share(Mode mode, const char* key, double TransferMode::*field, double typical) {
  return {{fmt::format("/kernels/{}/{}", mode.name, key)}, LibraryForm::share, least_link_share, 1.0, 1e-4, typical,
          [mode, field](const CollectiveSpec& spec) { return (*spec.kernels).*mode.field.*field; },
          [mode, field](CollectiveSpec& spec, double value) { (*spec.kernels).*mode.field.*field = value; }};
}

CollectiveParameter mode_fill_size(std::vector<Mode> modes, double typical) {
  CollectiveParameter p{{}, LibraryForm::bytes, 1.0, most_library_bytes, 4096.0, typical, {}, {}};
  for (const Mode& mode : modes) p.pointers.push_back(fmt::format("/kernels/{}/fill_size", mode.name));
  p.get = [mode = modes.front()](const CollectiveSpec& spec) { return static_cast<double>(((*spec.kernels).*mode.field).fill_size.value()); };
  p.set = [modes](CollectiveSpec& spec, double value) {
    for (const Mode& mode : modes) ((*spec.kernels).*mode.field).fill_size = Bytes(static_cast<std::int64_t>(value));
  };
  return p;
}

CollectiveParameter call_of_all() {
  return {{"/kernels/call"}, LibraryForm::seconds, 0.0, longest_latency, shortest_change, 4.5e-6,
          [](const CollectiveSpec& spec) { return spec.kernels->call.value(); },
          [](CollectiveSpec& spec, double value) { spec.kernels->call = Seconds(value); }};
}

CollectiveParameter channel_rate() {
  return {{"/kernels/channel_rate"}, LibraryForm::rate, 1e6, most_channel_rate, 1e7, 60e9,
          [](const CollectiveSpec& spec) { return spec.kernels->channel_rate.value(); },
          [](CollectiveSpec& spec, double value) { spec.kernels->channel_rate = BytesPerSecond(value); }};
}

CollectiveParameter pipeline_chunk() {
  return {{"/pipeline_chunk"}, LibraryForm::bytes, 4096.0, most_library_bytes, 4096.0, 12e6,
          [](const CollectiveSpec& spec) { return static_cast<double>(spec.pipeline_chunk.value()); },
          [](CollectiveSpec& spec, double value) { spec.pipeline_chunk = Bytes(static_cast<std::int64_t>(value)); }};
}

CollectiveParameter share_of_a_peer() {
  return {{"/kernels/point_to_point_ll/nvlink_share"}, LibraryForm::share, least_link_share, 1.0, 1e-5, 0.02,
          [](const CollectiveSpec& spec) { return spec.kernels->point_to_point_ll->nvlink_share; },
          [](CollectiveSpec& spec, double value) { spec.kernels->point_to_point_ll->nvlink_share = value; }};
}

/// Send, receive and all-to-all start alike under either protocol.
CollectiveParameter call_of_exchanges(bool with_ll) {
  CollectiveParameter p = mode_seconds({point_to_point}, "call", &TransferMode::call, 2e-6);
  if (!with_ll) return p;
  p.pointers.push_back("/kernels/point_to_point_ll/call");
  p.set = [](CollectiveSpec& spec, double value) { spec.kernels->point_to_point.call = spec.kernels->point_to_point_ll->call = Seconds(value); };
  return p;
}

/// What the rows are of.
struct Seen {
  bool rings = false, all_reduce = false, exchanges = false, in_switch = false, rings_across = false, exchanges_across = false,
       switches_across = false;
};

Seen seen_in(const std::vector<CollectiveMeasurement>& rows, bool in_switch_reduction) {
  Seen seen;
  for (const CollectiveMeasurement& row : rows) {
    const bool exchange = row.kind == CollectiveKind::all_to_all || row.kind == CollectiveKind::send;
    const bool reduced = in_switch_reduction && row.kind == CollectiveKind::all_reduce && row.gpus_per_node > 2;
    if (row.nodes == 1) {
      (exchange ? seen.exchanges : seen.rings) = true;
      seen.in_switch |= reduced;
    } else {
      (exchange ? seen.exchanges_across : seen.rings_across) = true;
      seen.switches_across |= reduced;
    }
  }
  return seen;
}

// Typical values: where tools/calibration/fit_in_node.py and fit_across_nodes.py start.
std::vector<CollectiveParameter> constants_of_kernels(const CollectiveSpec& base, const std::vector<CollectiveMeasurement>& rows) {
  const Seen seen = seen_in(rows, base.in_switch_reduction);
  std::vector<CollectiveParameter> result;
  const auto add = [&](bool wanted, CollectiveParameter parameter) {
    if (wanted) result.push_back(std::move(parameter));
  };
  using M = TransferMode;
  add(seen.rings || seen.exchanges, call_of_all());
  add(seen.rings, mode_share(simple, "nvlink_share", &M::nvlink_share, 0.77));
  add(seen.in_switch, mode_share(nvls, "nvlink_share", &M::nvlink_share, 0.66));
  add(seen.exchanges, mode_share(point_to_point, "nvlink_share", &M::nvlink_share, 0.75));
  add(seen.rings, mode_seconds({ll}, "nvlink_step", &M::nvlink_step, 0.3e-6));
  add(seen.rings, mode_share(ll, "nvlink_share", &M::nvlink_share, 0.05));
  add(seen.rings, mode_seconds({ll128}, "nvlink_step", &M::nvlink_step, 0.4e-6));
  add(seen.rings, mode_share(ll128, "nvlink_share", &M::nvlink_share, 0.25));
  // in loops, a loop's own time stays as it is: it and the call and share of nvls stand for one another
  const bool with_ll = base.kernels->point_to_point_ll.has_value(), in_loops = base.kernels->switch_loops.has_value();
  if (in_loops) {
    add(seen.rings, mode_seconds({simple}, "call", &M::call, 4e-6));
    add(seen.in_switch, mode_seconds({nvls, nvls_tree}, "call", &M::call, 4e-6));
  } else {
    add(seen.rings, mode_seconds({simple, nvls, nvls_tree}, "call", &M::call, 4e-6));   // they start alike
  }
  add(seen.exchanges, call_of_exchanges(with_ll));
  add(seen.exchanges && with_ll, share_of_a_peer());
  add(seen.rings, mode_seconds({simple}, "fill", &M::fill, 30e-6));
  add(seen.in_switch && !in_loops, mode_seconds({nvls, nvls_tree}, "fill", &M::fill, 60e-6));
  add(seen.exchanges, mode_seconds({point_to_point}, "fill", &M::fill, 10e-6));
  add(seen.rings, mode_fill_size({simple}, 5e6));
  add(seen.in_switch && !in_loops, mode_fill_size({nvls, nvls_tree}, 5e6));
  add(seen.exchanges, mode_fill_size({point_to_point}, 1e6));
  add(seen.rings && base.kernels->channel_rate > BytesPerSecond(0), channel_rate());
  add(seen.rings, mode_seconds({ll128}, "call", &M::call, 0.5e-6));
  add(seen.rings, mode_seconds({simple}, "nvlink_step", &M::nvlink_step, 0.3e-6));
  add(seen.switches_across, mode_share(nvls_tree, "nvlink_share", &M::nvlink_share, 0.6));
  add(seen.rings_across && !seen.switches_across, mode_share(simple, "network_share", &M::network_share, 0.9));
  add(seen.rings_across, mode_seconds({simple, nvls_tree}, "network_step", &M::network_step, 6e-6));
  add(seen.rings_across, mode_seconds({ll, ll128}, "network_step", &M::network_step, 3e-6));
  add(seen.rings_across && base.pipeline_chunk > Bytes{}, pipeline_chunk());
  add(seen.exchanges_across, mode_share(point_to_point, "network_share", &M::network_share, 0.9));
  add(seen.exchanges_across, mode_seconds({point_to_point}, "network_step", &M::network_step, 6e-6));
  return result;
}

CollectiveParameter kind_latency(CollectiveKind kind) {
  return {{fmt::format("/base_latency/{}", hw::name_of(kind))}, LibraryForm::seconds, 0.0, longest_latency, shortest_change, 20e-6,
          [kind](const CollectiveSpec& spec) { return spec.base_latency.at(kind).value(); },
          [kind](CollectiveSpec& spec, double value) { spec.base_latency[kind] = Seconds(value); }};
}

CollectiveParameter kind_share(CollectiveKind kind, std::int64_t members) {
  return {{fmt::format("/nvlink_efficiency/{}/{}", hw::name_of(kind), members)}, LibraryForm::share, least_link_share, 1.0, 1e-5, 0.5,
          [kind, members](const CollectiveSpec& spec) {
            const auto& by_members = spec.nvlink_efficiency.at(kind);
            const auto found = by_members.find(members);
            return found == by_members.end() ? by_members.begin()->second : found->second;
          },
          [kind, members](CollectiveSpec& spec, double value) { spec.nvlink_efficiency[kind][members] = value; }};
}

CollectiveParameter kind_network_share(CollectiveKind kind) {
  return {{fmt::format("/network_efficiency/{}", hw::name_of(kind))}, LibraryForm::share, least_link_share, 1.0, 1e-4, 0.9,
          [kind](const CollectiveSpec& spec) { return spec.network_efficiency.at(kind); },
          [kind](CollectiveSpec& spec, double value) { spec.network_efficiency[kind] = value; }};
}

CollectiveParameter step_constant(const char* pointer, Seconds CollectiveSpec::*field) {
  return {{pointer}, LibraryForm::seconds, 0.0, longest_latency, shortest_change, 1e-6, [field](const CollectiveSpec& spec) { return (spec.*field).value(); },
          [field](CollectiveSpec& spec, double value) { spec.*field = Seconds(value); }};
}

std::vector<CollectiveParameter> constants_of_kinds(const std::vector<CollectiveMeasurement>& rows) {
  std::map<CollectiveKind, std::set<std::int64_t>> in_node;
  std::set<CollectiveKind> across;
  std::set<std::int64_t> ring_sizes;
  for (const CollectiveMeasurement& row : rows) {
    if (row.nodes > 1) across.insert(row.kind);
    else in_node[row.kind].insert(row.kind == CollectiveKind::send ? 2 : row.gpus_per_node);
    if (row.nodes == 1 && row.kind != CollectiveKind::all_to_all && row.kind != CollectiveKind::send) ring_sizes.insert(row.gpus_per_node);
  }
  std::vector<CollectiveParameter> result;
  for (const auto& [kind, sizes] : in_node) {
    for (const std::int64_t members : sizes) result.push_back(kind_share(kind, members));
    result.push_back(kind_latency(kind));
  }
  for (const CollectiveKind kind : across) result.push_back(kind_network_share(kind));
  if (!across.empty()) result.push_back(step_constant("/network_step_latency", &CollectiveSpec::network_step_latency));
  if (ring_sizes.size() > 1) result.push_back(step_constant("/nvlink_step_latency", &CollectiveSpec::nvlink_step_latency));
  return result;
}

}  // namespace

std::vector<CollectiveParameter> collective_parameters(const CollectiveSpec& base, const std::vector<CollectiveMeasurement>& rows) {
  return base.kernels ? constants_of_kernels(base, rows) : constants_of_kinds(rows);
}

std::string profile_value(const CollectiveParameter& parameter, double value) {
  switch (parameter.form) {
    case LibraryForm::share: return fmt::format("{:.4g}", value);
    case LibraryForm::seconds: return duration_text(value);
    case LibraryForm::rate: return rate_text(value);
    case LibraryForm::bytes: return bytes_text(value);
  }
  throw std::invalid_argument("no such form");
}

}  // namespace fabricast::validation
