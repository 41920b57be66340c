#include "validation/judge_collectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "hardware_models/cluster_config.hpp"
#include "validation/collective_bench.hpp"
#include "validation/experiment_document.hpp"
#include "validation/measured_group.hpp"

namespace fabricast::validation {

namespace fs = std::filesystem;

namespace {

using hw::CollectiveKind;

constexpr Bytes bandwidth_decides_in_node(std::int64_t{64} << 10), bandwidth_decides_across(std::int64_t{16} << 20);

std::string members_of(std::int64_t nodes, std::int64_t in_node) {
  return nodes == 1 ? fmt::format("{} GPUs", in_node) : fmt::format("{} x {} GPUs", nodes, in_node);
}

/// Why the group cannot be simulated there; nothing if it can.
std::optional<std::string> reason_against(std::int64_t nodes, std::int64_t in_node, const hw::Topology& topology) {
  if (nodes * in_node < 2) return "have one member";
  if (nodes <= topology.nodes() && in_node <= topology.gpus_per_node()) return std::nullopt;
  return fmt::format("have more members than the cluster, {} x {} GPUs; name a larger one with --cluster", topology.nodes(), topology.gpus_per_node());
}

std::optional<std::string> reason_against(const ExchangeMeasurement& row, const MeasuredCluster& cluster) {
  if (const auto reason = reason_against(row.nodes, row.gpus_per_node, cluster.topology)) return reason;
  if (row.experts % (row.nodes * row.gpus_per_node) != 0) return "have experts that cannot be dealt to the ranks in equal runs";
  const auto& kernels = cluster.spec.collectives.kernels;
  if (!kernels || !kernels->tokens) return "have a cluster whose profile holds no kernels for dispatch and combine";
  return std::nullopt;
}

std::optional<std::string> reason_against(const CollectiveMeasurement& row, const MeasuredCluster& cluster) {
  const hw::Topology& topology = cluster.topology;
  if (row.bytes <= Bytes{}) return "move no bytes";
  if (const auto reason = reason_against(row.nodes, row.gpus_per_node, topology)) return reason;
  std::vector<NodeId> nodes;
  for (const GpuId gpu : first_gpus(row.nodes, row.gpus_per_node, topology)) nodes.push_back(topology.node_of(gpu));
  if (row.algorithm != hw::CollectiveAlgorithm::automatic && !hw::applies(row.kind, row.algorithm, nodes)) {
    return fmt::format("were run as {}, which the simulator does not run there", hw::name_of(row.algorithm));
  }
  return std::nullopt;
}

Seconds simulated(const CollectiveMeasurement& row, const MeasuredCluster& cluster) {
  return time_collective(cluster.topology, cluster.cost, bench_of(row, cluster.topology), row.bytes).time;
}

/// Every rank sends as many tokens, spread evenly over the experts.
Seconds simulated(const ExchangeMeasurement& row, const MeasuredCluster& cluster) {
  CollectiveBench bench;
  bench.kind = CollectiveKind::all_to_all;
  bench.algorithm = row.algorithm;
  bench.group = first_gpus(row.nodes, row.gpus_per_node, cluster.topology);
  bench.top_k = row.top_k;
  bench.experts = row.experts;
  bench.row = row.row;
  bench.combine = row.combine;
  bench.reach = row.reach;
  const Bytes size = row.row * (row.tokens * row.top_k);
  if (row.sms == 0) return time_collective(cluster.topology, cluster.cost, bench, size).time;
  hw::ClusterSpec with_sms = cluster.spec;
  with_sms.collectives.kernels->tokens->sms = row.sms;
  return time_collective(cluster.topology, sim::cost_model(with_sms), bench, size).time;
}

/// Judges the rows of one set, one kind of row after the other, and counts what it leaves out.
class JudgeSet {
 public:
  JudgeSet(const Measurements& set, const JudgeOptions& options, Clusters& clusters) : set_(set), options_(options), clusters_(clusters) {}

  template <class Row>
  void judge(const Row& row, const std::string& kind, const std::string& family, std::vector<AgreementRow>& rows) {
    if (!options_.wants(kind)) return;
    const MeasuredCluster* cluster = clusters_.of(set_.system);
    if (cluster == nullptr) {
      left_out_[fmt::format("have no cluster that stands for {}; name one with --cluster",
                            set_.system.empty() ? "the machine that was measured" : "system " + set_.system)] += 1;
    } else if (const auto reason = reason_against(row, *cluster)) {
      left_out_[*reason] += 1;
    } else {
      rows.push_back({set_.system, kind, family, row.seconds, simulated(row, *cluster), row.place});
    }
  }

  void tell(std::vector<std::string>& notes) const {
    for (const auto& [reason, count] : left_out_) notes.push_back(fmt::format("{}: {} rows of collectives {}", set_.source, count, reason));
  }

 private:
  const Measurements& set_;
  const JudgeOptions& options_;
  Clusters& clusters_;
  std::map<std::string, std::size_t> left_out_;
};

}  // namespace

MeasuredCluster::MeasuredCluster(hw::ClusterSpec read) : spec(std::move(read)), topology(spec), cost(sim::cost_model(spec)) {}

const MeasuredCluster* Clusters::of(const std::string& system) {
  const auto known = clusters_.find(system);
  if (known != clusters_.end()) return known->second.get();
  const std::optional<fs::path> path = options_.cluster ? options_.cluster : cluster_file(options_.configs, system);
  auto& cluster = clusters_[system];
  if (path) cluster = std::make_unique<const MeasuredCluster>(hw::read_cluster(load_cluster_document(path->string())));
  return cluster.get();
}

std::optional<fs::path> cluster_file(const fs::path& configs, const std::string& system) {
  static const std::map<std::string, std::string> files{{"a100_sxm", "a100_16x8"}, {"a100_sxm_efa", "a100_16x8_efa"}, {"b200_sxm", "b200_16x8"},
                                                        {"h100_sxm", "h100_16x8"}, {"h100_sxm_roce", "h100_16x8_roce"}, {"h100_sxm_efa", "h100_16x8_efa"},
                                                        {"h100_or_h200", "h100_16x8"}, {"h200_sxm", "h200_16x8"}, {"h800_sxm", "h800_16x8"}};
  const auto found = files.find(system);
  if (found == files.end()) return std::nullopt;
  const fs::path path = configs / "clusters" / (found->second + ".json");
  return fs::exists(path) ? std::optional<fs::path>(path) : std::nullopt;
}

std::string kind_of(const CollectiveMeasurement& row) {
  const bool in_node = row.nodes == 1;
  const bool large = row.bytes >= (in_node ? bandwidth_decides_in_node : bandwidth_decides_across);
  return fmt::format("{}{} {} {} {}", hw::name_of(row.kind), row.caller.empty() ? "" : " by " + row.caller, in_node ? "in node" : "across nodes",
                     large ? "from" : "below", in_node ? "64 KiB" : "16 MiB");
}

void judge_collectives(const Measurements& set, const JudgeOptions& options, Clusters& clusters, std::vector<AgreementRow>& rows,
                       std::vector<std::string>& notes) {
  JudgeSet judge(set, options, clusters);
  for (const CollectiveMeasurement& row : set.collectives) judge.judge(row, kind_of(row), members_of(row.nodes, row.gpus_per_node), rows);
  for (const ExchangeMeasurement& row : set.exchanges) judge.judge(row, row.kind, row.family, rows);
  judge.tell(notes);
}

}  // namespace fabricast::validation
