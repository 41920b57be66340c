// Predicts measured collectives through the simulator, on the clusters that stand for their systems. Knows which cluster that is, and no report.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/topology.hpp"
#include "sim/cost_model.hpp"
#include "validation/judge.hpp"

namespace fabricast::validation {

/// A cluster file, ready to simulate on.
struct MeasuredCluster {
  explicit MeasuredCluster(hw::ClusterSpec read);
  hw::ClusterSpec spec;
  hw::Topology topology;
  sim::CostModel cost;
};

/// The clusters of the systems, read once each.
class Clusters {
 public:
  explicit Clusters(const JudgeOptions& options) : options_(options) {}

  /// Null where there is none. Throws hw::ConfigError for a file that cannot be read.
  [[nodiscard]] const MeasuredCluster* of(const std::string& system);

 private:
  const JudgeOptions& options_;
  std::map<std::string, std::unique_ptr<const MeasuredCluster>> clusters_;
};

/// "all_reduce in node from 64 KiB", "all_reduce across nodes below 16 MiB", …: kind, caller, reach, and on which side of the size from which
/// bandwidth rather than latency decides.
[[nodiscard]] std::string kind_of(const CollectiveMeasurement& row);

/// Adds a row for each collective and each exchange of tokens of the set, on the first GPUs of the first nodes of its cluster; what is left
/// out, and why, goes to `notes`.
void judge_collectives(const Measurements& set, const JudgeOptions& options, Clusters& clusters, std::vector<AgreementRow>& rows,
                       std::vector<std::string>& notes);

}  // namespace fabricast::validation
