#include "validation/collective_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <stdexcept>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/resolve.hpp"
#include "strategies/ir/schedule.hpp"
#include "validation/json_writer.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {
namespace {

constexpr ir::StreamId stream{1};

// Rows of an all-to-all are counted in 32 bits.
constexpr std::int64_t small_row = 1, large_row = 1024, small_rows_up_to = std::int64_t{1} << 30;

std::int64_t row_bytes_for(const CollectiveBench& bench, Bytes size) {
  if (bench.row > Bytes{}) return bench.row.value();
  return size.value() <= small_rows_up_to ? small_row : large_row;
}

/// Shares of the experts in every send buffer: (i + 1)^-skew over their sum.
std::vector<double> shares_of(std::int64_t experts, double skew) {
  std::vector<double> shares;
  for (std::int64_t i = 0; i < experts; ++i) shares.push_back(std::pow(static_cast<double>(i + 1), -skew));
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= sum;
  return shares;
}

/// One member's rows for every expert: each expert's share, rounded so that the sum is `rows`. `phase` in [0, 1) says who gets the odd rows.
/// A popular expert gets each token once at most.
std::vector<std::uint32_t> rows_by_expert(std::span<const double> shares, std::int64_t rows, std::int64_t tokens, double phase) {
  constexpr double rounding = 1e-6;  // keeps shares that divide from falling below their whole number
  std::vector<std::uint32_t> result;
  double cumulative = 0;
  std::int64_t dealt = 0;
  for (const double share : shares) {
    cumulative += share * static_cast<double>(rows);
    const std::int64_t up_to = static_cast<std::int64_t>(cumulative + phase + rounding);
    result.push_back(static_cast<std::uint32_t>(std::min(up_to - dealt, tokens)));
    dealt = up_to;
  }
  return result;
}

/// Every member's rows for every expert.
ir::RoutingPlan routing_of(const CollectiveBench& bench, Bytes size) {
  const auto n = static_cast<std::int32_t>(bench.group.size());
  const auto experts = bench.experts > 0 ? static_cast<std::int32_t>(bench.experts) : n;
  const std::int64_t tokens = std::max<std::int64_t>(1, size.value() / row_bytes_for(bench, size) / bench.top_k), rows = tokens * bench.top_k;
  const std::vector<double> shares = shares_of(experts, bench.skew);
  std::vector<std::uint32_t> counts;
  for (std::int32_t source = 0; source < n; ++source) {
    const auto row = rows_by_expert(shares, rows, tokens, static_cast<double>(source) / n);
    counts.insert(counts.end(), row.begin(), row.end());
  }
  const ir::RoutingShape shape{.layers = 1, .sources = n, .experts = experts, .top_k = static_cast<std::int32_t>(bench.top_k),
                               .expert_positions = n, .tokens = tokens, .reach = bench.reach};
  ir::RoutingPlan plan = ir::RoutingPlan::from_counts(shape, 1, std::move(counts));
  std::vector<ir::Replicas> hosts;
  for (std::int32_t expert = 0; expert < experts; ++expert) hosts.push_back({{expert / (experts / n)}});
  plan.place_experts({hosts}, {});
  return plan;
}

ir::Work work_of(const CollectiveBench& bench, Bytes size) {
  const auto n = static_cast<std::int64_t>(bench.group.size());
  if (bench.kind == hw::CollectiveKind::all_to_all) {
    const auto direction = bench.combine ? ir::AllToAll::Direction::combine : ir::AllToAll::Direction::dispatch;
    return ir::AllToAll{direction, {}, row_bytes_for(bench, size), bench.algorithm};
  }
  const bool sharded = bench.kind == hw::CollectiveKind::all_gather || bench.kind == hw::CollectiveKind::reduce_scatter;
  const ir::Extent rows = ir::Extent::constant(sharded ? size.value() / n : size.value());
  return ir::Collective{bench.kind, ir::Axis::expert, rows, 1, bench.algorithm};
}

ir::Program program_of(std::vector<ir::Work> works) {
  ir::Program program{"bench", {"compute", "communication"}, {}, {}};
  for (ir::Work& work : works) program.ops.push_back({stream, std::move(work), {}, {}, {}, ir::LabelId{0}, ir::LabelId{0}, {}});
  return program;
}

/// One rank per member, all in one group.
ir::Schedule schedule_of(const CollectiveBench& bench, Bytes size) {
  ir::Schedule schedule;
  schedule.labels = {"bench"};
  if (bench.kind == hw::CollectiveKind::send) {
    const ir::Extent rows = ir::Extent::constant(size.value());
    schedule.programs.push_back(program_of({ir::Send{ir::Axis::expert, 1, 0, rows, 1}}));
    schedule.programs.push_back(program_of({ir::Recv{ir::Axis::expert, 0, 0, rows, 1}}));
  } else {
    schedule.programs.push_back(program_of({work_of(bench, size)}));
  }
  ir::Group group{ir::Axis::expert, {}};
  const std::size_t members = bench.kind == hw::CollectiveKind::send ? 2 : bench.group.size();
  for (std::size_t i = 0; i < members; ++i) {
    const auto rank = static_cast<std::int32_t>(i);
    ir::RankBinding binding{};
    binding.program = ir::ProgramId{std::min(rank, static_cast<std::int32_t>(schedule.programs.size()) - 1)};
    binding.gpu = bench.group[i];
    binding.source = rank;
    binding.members[static_cast<std::size_t>(ir::Axis::expert)] = rank;
    schedule.ranks.push_back(binding);
    group.members.push_back(Rank{rank});
  }
  schedule.groups.push_back(std::move(group));
  if (bench.kind == hw::CollectiveKind::all_to_all) schedule.routing = routing_of(bench, size);
  return schedule;
}

std::vector<NodeId> nodes_of(const CollectiveBench& bench, const hw::Topology& topology) {
  std::vector<NodeId> nodes;
  for (const GpuId gpu : bench.group) nodes.push_back(topology.node_of(gpu));
  return nodes;
}

BytesPerSecond rate(Bytes bytes, Seconds time) { return time > Seconds(0) ? bytes / time : BytesPerSecond(0); }

/// "ring ll128"; point-to-point kernels and reducing switches have one protocol.
std::string full_name(const hw::CollectiveChoice& choice) {
  std::string name(hw::name_of(choice.algorithm));
  if (choice.protocol != hw::CollectiveProtocol::simple) name += " " + std::string(hw::name_of(choice.protocol));
  return name;
}

std::string gigabytes(BytesPerSecond bandwidth) { return fmt::format("{:.2f}", bandwidth.value() / 1e9); }

}  // namespace

CollectiveTiming time_collective(const hw::ClusterSpec& cluster, const CollectiveBench& bench, Bytes size) {
  return time_collective(hw::Topology(cluster), sim::cost_model(cluster), bench, size);
}

CollectiveTiming time_collective(const hw::Topology& topology, const sim::CostModel& cost, const CollectiveBench& bench, Bytes size) {
  const ir::Schedule schedule = schedule_of(bench, size);
  const ir::ResolvedCollective resolved = ir::resolve_briefly(schedule, Rank{0}, schedule.programs.front().ops.front());
  CollectiveTiming timing;
  timing.size = resolved.size;
  timing.choice = cost.collectives.choose(bench.kind, bench.algorithm, nodes_of(bench, topology), timing.size, resolved.tokens);
  timing.footprint = cost.collectives.footprint(bench.kind, timing.choice.algorithm, timing.size);
  const sim::SimulationResult result = sim::simulate(schedule, ir::match_instances(schedule), topology, cost, {.fidelity = bench.fidelity});
  const sim::InstanceInterval& ran = result.instances.front();
  timing.time = to_seconds(ran.end - ran.start);
  timing.floor = ran.floor;
  timing.algorithm_bandwidth = rate(timing.size, timing.time);
  timing.bus_bandwidth =
      timing.algorithm_bandwidth * hw::bus_factor(bench.kind, static_cast<std::int64_t>(resolved.members.size()));
  if (timing.floor > Seconds(0)) timing.ratio_to_floor = timing.time / timing.floor;
  return timing;
}

std::string collective_table(std::span<const CollectiveTiming> timings) {
  Table table({{"size (B)", Table::Align::right}, {"time (us)"}, {"algbw (GB/s)"}, {"busbw (GB/s)"}, {"floor (us)"}, {"time/floor"},
               {"SMs"}, {"algorithm", Table::Align::left}});
  for (const CollectiveTiming& t : timings) {
    table.add({std::to_string(t.size.value()), fmt::format("{:.2f}", t.time.value() * 1e6), gigabytes(t.algorithm_bandwidth),
               gigabytes(t.bus_bandwidth), fmt::format("{:.2f}", t.floor.value() * 1e6), fmt::format("{:.2f}", t.ratio_to_floor),
               std::to_string(t.footprint.sms), full_name(t.choice)});
  }
  return table.text();
}

std::string to_json(const hw::ClusterSpec& cluster, const CollectiveBench& bench, std::span<const CollectiveTiming> timings) {
  const hw::Topology topology(cluster);
  const std::vector<NodeId> nodes = nodes_of(bench, topology);
  JsonWriter json;
  json.open_object();
  json.field("schema", "fabricast.collective_bench/1");
  json.field("source", "simulated");
  json.field("cluster", cluster.name);
  json.field("kind", hw::name_of(bench.kind));
  json.field("members", static_cast<std::int64_t>(bench.group.size()));
  json.field("nodes", static_cast<std::int64_t>(std::set<NodeId>(nodes.begin(), nodes.end()).size()));
  json.field("skew", bench.skew);
  json.open_array("rows");
  for (const CollectiveTiming& t : timings) {
    json.open_object();
    json.field("bytes", t.size.value());
    json.field("seconds", t.time.value());
    json.field("algorithm_bytes_per_second", t.algorithm_bandwidth.value());
    json.field("bus_bytes_per_second", t.bus_bandwidth.value());
    json.field("floor_seconds", t.floor.value());
    json.field("ratio_to_floor", t.ratio_to_floor);
    json.field("algorithm", hw::name_of(t.choice.algorithm));
    json.field("protocol", hw::name_of(t.choice.protocol));
    json.field("kernel_sms", t.footprint.sms);
    json.close();
  }
  json.close();
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
