#include "validation/experiment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "hardware_models/cluster_config.hpp"
#include "hardware_models/json_reader.hpp"
#include "validation/experiment_document.hpp"
#include "validation/model_config.hpp"
#include "validation/strategy_config.hpp"
#include "validation/workload_config.hpp"

namespace fabricast::validation {
namespace {

constexpr double most_tokens = 9007199254740992.0;            // 2^53: counts stay exact in a double
constexpr double most_tensor_bytes = 4611686018427387904.0;          // 2^62: sizes of whole tensors stay within 64 bits
constexpr std::int64_t most_block_instances = std::int64_t{1} << 20;  // layer · micro-batch · chunk: a schedule holds some 20 ops for each

double as_double(std::int64_t value) { return static_cast<double>(value); }

void check_lengths(const Experiment& experiment) {
  const auto& model = experiment.model;
  const auto& workload = experiment.workload;
  if (workload.sequence_length > model.max_sequence_length) {
    hw::fail(find_node(experiment.document, "/workload/sequence_length").node,
             fmt::format("exceeds the model's max_sequence_length {}; shorten the sequences or set model.max_sequence_length",
                         model.max_sequence_length));
  }
}

/// No size that the schedule holds may leave the range of its integers.
void check_totals(const Experiment& experiment) {
  const auto& model = experiment.model;
  const auto& workload = experiment.workload;
  const hw::JsonNode& place = find_node(experiment.document, "/workload/sequences").node;
  const double tokens = as_double(workload.sequences) * as_double(workload.sequence_length);
  if (tokens > most_tokens) hw::fail(place, fmt::format("makes {:.3g} tokens a step; at most 2^53 can be counted", tokens));
  const std::int64_t expert_rows = model.moe ? model.moe->top_k : 1;
  const std::int64_t width = std::max({model.vocab_size, 2 * model.d_ff, 2 * (model.moe ? model.moe->d_ff : 0), model.d_model,
                                       model.n_heads * model.d_head});
  const double bytes = tokens * as_double(expert_rows) * as_double(width) * as_double(hw::element_bytes(hw::Precision::fp32));
  if (bytes > most_tensor_bytes) hw::fail(place, fmt::format("makes tensors of {:.3g} bytes; at most 2^62 can be counted", bytes));
}

void check_schedule_size(const Experiment& experiment) {
  const auto& model = experiment.model;
  const auto& workload = experiment.workload;
  const std::int64_t blocks = model.layers * workload.micro_batches * experiment.strategy.overlap_chunks;
  if (blocks > most_block_instances) {
    hw::fail(find_node(experiment.document, "/workload").node,
             fmt::format("layers {} · micro_batches {} · chunks {} are {} blocks; the schedule holds at most {}", model.layers,
                         workload.micro_batches, experiment.strategy.overlap_chunks, blocks, most_block_instances));
  }
}

}  // namespace

Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& sets) {
  return read_experiment(load_document(path, sets), path);
}

Experiment read_experiment(hw::JsonNode document, const std::filesystem::path& path) {
  Experiment experiment;
  experiment.document = std::move(document);
  hw::ObjectReader reader(experiment.document);
  experiment.name = reader.text("name");
  experiment.model = read_model(reader.child("model"));
  experiment.cluster = hw::read_cluster(reader.child("cluster"));
  experiment.workload = read_workload(reader.child("workload"));
  experiment.strategy = read_strategy(reader.child("strategy"));
  if (const hw::JsonNode* routing = reader.optional_child("routing")) experiment.routing = read_routing(*routing, path);
  reader.finish();
  check_lengths(experiment);
  check_totals(experiment);
  check_schedule_size(experiment);
  return experiment;
}

void rethrow_with_place(const hw::ConfigError& error, const hw::JsonNode& document) {
  if (error.pointer().empty()) throw hw::ConfigError(error.what());
  const auto [node, rest] = find_node(document, error.pointer());
  if (rest.empty()) hw::fail(node, error.what());
  throw hw::ConfigError(fmt::format("{}{}: {}", hw::place_of(node), node.pointer.empty() ? ": " + std::string(rest) : std::string(rest),
                                    error.what()));
}

}  // namespace fabricast::validation
