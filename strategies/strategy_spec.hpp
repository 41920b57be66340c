// How a job is parallelised and what it processes, as plain data read from experiments. degrees.hpp derives the rest and checks it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::strategy {

/// Where the experts of a layer live on the expert axis (P positions, E experts per layer).
enum class ExpertPlacement : std::uint8_t {
  every_layer,      // position p holds experts [p·E/P, (p+1)·E/P) of every layer; P divides E
  striped,          // E experts a layer, dealt over the positions from layer to layer: expert e of layer l at (l·E + e) mod P
  replicated,       // position p holds experts p mod E of every layer: P/E copies each; tokens go to the nearest copy
};

/// What a rank dispatches: its own shard of the tokens (the expert's tensor ranks exchange rows over NVLink), or all tokens of its tensor
/// group (twice the network bytes at TP 2, no exchange).
enum class ExpertInput : std::uint8_t { sequence_sharded, replicated };

struct Algorithms {
  hw::CollectiveAlgorithm tensor = hw::CollectiveAlgorithm::automatic;
  hw::CollectiveAlgorithm expert = hw::CollectiveAlgorithm::automatic;
};

struct StrategySpec {
  std::int64_t tensor = 1, pipeline = 1, context = 1, expert = 1;
  std::optional<std::int64_t> expert_tensor;                // default: tensor
  std::optional<std::int64_t> data, expert_data;            // derived; checked if given
  std::vector<ir::Axis> axis_order;                         // innermost first; default tensor, context, data, pipeline
  std::int64_t virtual_pipeline = 1;                        // model chunks per stage (interleaving)
  ExpertPlacement expert_placement = ExpertPlacement::every_layer;
  ExpertInput expert_input = ExpertInput::sequence_sharded;
  std::int64_t overlap_chunks = 1;                          // 1: no overlap; k: tokens in k chunks, dispatch, experts and combine pipelined
  Algorithms algorithms;
};

enum class Phase : std::uint8_t { forward };

struct WorkloadSpec {
  Phase phase = Phase::forward;
  std::int64_t sequences = 0, sequence_length = 0;          // of the whole job, per step
  std::int64_t micro_batches = 1;                           // per step and replica
  bool head_on_all_tokens = true;                           // false: logits of each sequence's last token only
};

enum class RoutingDistribution : std::uint8_t { uniform, zipf, dirichlet, file };

struct RoutingSpec {
  RoutingDistribution distribution = RoutingDistribution::uniform;
  std::uint64_t seed = 1;
  double exponent = 1.0;                                    // zipf: popularity of the r-th expert is r^-exponent; which expert is r-th is drawn per layer
  double concentration = 1.0;                               // dirichlet: popularities are drawn per layer from Dirichlet(concentration, …)
  std::string file;                                         // CSV: layer, expert, tokens [, source]
};

}  // namespace fabricast::strategy
