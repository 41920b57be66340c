// An experiment: model, cluster, workload, strategy and routing, read from one JSON file and those that it names. The front door of all
// config reading; each part has a reader of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/json_node.hpp"
#include "strategies/model_spec.hpp"
#include "strategies/strategy_spec.hpp"

namespace fabricast::validation {

struct Experiment {
  std::string name;
  strategy::ModelSpec model;
  hw::ClusterSpec cluster;
  strategy::WorkloadSpec workload;
  strategy::StrategySpec strategy;
  strategy::RoutingSpec routing;            // default: uniform, seed 1
  hw::JsonNode document;                    // with every file inlined: places for errors found later
};

/// `sets` are "path.to.key=value" in order, applied before anything is checked. Throws hw::ConfigError.
[[nodiscard]] Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& sets = {});

/// The same from its document (experiment_document.hpp); `path` is the experiment's file, to which a routing file is relative.
[[nodiscard]] Experiment read_experiment(hw::JsonNode document, const std::filesystem::path& path);

/// Throws the error anew with file, line and value of the node at its pointer; where the key is not written, with the place of the object
/// that lacks it. An error without a pointer names its place already and is thrown as it is.
[[noreturn]] void rethrow_with_place(const hw::ConfigError& error, const hw::JsonNode& document);

}  // namespace fabricast::validation
