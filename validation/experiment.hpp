// An experiment: model, cluster, workload, strategy and routing, read from one JSON file and those that it names. Wraps all config reading.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/json_reader.hpp"
#include "strategies/model_spec.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::validation {

struct Experiment {
  std::string name;
  strategy::ModelSpec model;
  hw::ClusterSpec cluster;
  strategy::WorkloadSpec workload;
  strategy::StrategySpec strategy;
  strategy::RoutingSpec routing;
  hw::JsonNode document;                    // with every file inlined: places for errors found later
};

/// `sets` are "path.to.key=value" in order, applied before anything is checked. Throws hw::ConfigError.
[[nodiscard]] Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& sets = {});

}  // namespace fabricast::validation
