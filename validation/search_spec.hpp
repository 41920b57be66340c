// What to search: a model on a cluster, a workload, a limit of memory, and the choices that are allowed. Knows no search.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/json_node.hpp"
#include "validation/experiment.hpp"

namespace fabricast::validation {

/// The values that each choice may take; absent: what search_space.hpp says.
struct SearchChoices {
  template <class Value>
  using Values = std::optional<std::vector<Value>>;
  Values<std::int64_t> tensor, pipeline, expert, expert_tensor, virtual_pipeline, micro_batches, overlap_chunks;
  Values<strategy::ExpertPlacement> expert_placement;
  Values<strategy::ExpertInput> expert_input;
  Values<std::vector<ir::Axis>> axis_order;
  Values<hw::CollectiveAlgorithm> tensor_algorithm, expert_algorithm;
};

struct SearchSpec {
  Experiment base;                       // all but its strategy is given
  bool has_baseline = false;             // base.strategy and base.workload.micro_batches are what others are compared with
  Bytes memory_limit;                    // at most the GPU's capacity
  SearchChoices choices;
  std::int64_t top = 5;                 // how many strategies of different degrees are wanted

  std::filesystem::path experiment_file; // where the experiment's own keys stand
  hw::JsonNode root;                     // that file as it is: model and cluster may be names of files
  std::vector<std::string> sets;         // what the command line changed
};

/// Keys: experiment (a file whose strategy is the baseline), or name, model, cluster, workload, routing and strategy (the baseline) as an
/// experiment has them; objective, memory_limit, space, top. `sets` are as in load_experiment. Throws hw::ConfigError.
[[nodiscard]] SearchSpec load_search(const std::filesystem::path& path, const std::vector<std::string>& sets);

/// An experiment file with `found` as its strategy and micro_batches. Model and cluster stay files where they were and no set changed them;
/// paths are relative to `folder`.
[[nodiscard]] std::string experiment_text(const SearchSpec& search, const Experiment& found, const std::string& comment,
                                          const std::filesystem::path& folder);

}  // namespace fabricast::validation
