#include "validation/workload_config.hpp"

#include <fmt/format.h>

#include <limits>

#include "hardware_models/json_reader.hpp"

namespace fabricast::validation {
namespace {

using hw::ObjectReader;
using strategy::Phase;
using strategy::RoutingDistribution;
using strategy::RoutingSpec;
using strategy::WorkloadSpec;

constexpr hw::IntegerRange sequence_range{1, std::int64_t{1} << 32};
constexpr hw::IntegerRange micro_batch_range{1, 1 << 16};
constexpr hw::IntegerRange seed_range{0, std::numeric_limits<std::int64_t>::max()};
constexpr double least_concentration = 0.01, most_concentration = 1e4;
constexpr double most_exponent = 10;  // at 4 already one expert gets nine tokens in ten

void reject_unused(ObjectReader& reader, const char* key, const char* distribution) {
  if (const hw::JsonNode* node = reader.optional_child(key)) {
    hw::fail(*node, fmt::format("has no effect here; remove it, or set distribution to \"{}\"", distribution));
  }
}

}  // namespace

WorkloadSpec read_workload(const hw::JsonNode& node) {
  ObjectReader reader(node);
  WorkloadSpec workload;
  workload.phase = reader.optional_choice<Phase>("phase", {{"forward", Phase::forward}}).value_or(Phase::forward);
  workload.sequences = reader.integer("sequences", sequence_range);
  workload.sequence_length = reader.integer("sequence_length", sequence_range);
  workload.micro_batches = reader.optional_integer("micro_batches", micro_batch_range).value_or(1);
  workload.head_on_all_tokens = reader.optional_boolean("head_on_all_tokens").value_or(true);
  reader.finish();
  return workload;
}

RoutingSpec read_routing(const hw::JsonNode& node, const std::filesystem::path& experiment) {
  ObjectReader reader(node);
  RoutingSpec routing;
  routing.distribution = reader.choice<RoutingDistribution>("distribution", {{"uniform", RoutingDistribution::uniform},
                                                                             {"zipf", RoutingDistribution::zipf},
                                                                             {"dirichlet", RoutingDistribution::dirichlet},
                                                                             {"file", RoutingDistribution::file}});
  routing.seed = static_cast<std::uint64_t>(reader.optional_integer("seed", seed_range).value_or(1));
  if (routing.distribution == RoutingDistribution::zipf) {
    routing.exponent = reader.optional_number("exponent", 0, most_exponent).value_or(1.0);
  } else {
    reject_unused(reader, "exponent", "zipf");
  }
  if (routing.distribution == RoutingDistribution::dirichlet) {
    routing.concentration = reader.optional_number("concentration", least_concentration, most_concentration).value_or(1.0);
  } else {
    reject_unused(reader, "concentration", "dirichlet");
  }
  if (routing.distribution == RoutingDistribution::file) {
    const std::string& name = hw::as_text(reader.child("file"));
    if (name.empty()) hw::fail(reader.child("file"), "names no file; write a path relative to the experiment");
    routing.file = (experiment.parent_path() / name).lexically_normal().string();
  } else {
    reject_unused(reader, "file", "file");
  }
  reader.finish();
  return routing;
}

}  // namespace fabricast::validation
