#include "validation/search_spec.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "hardware_models/equipment.hpp"
#include "hardware_models/json_reader.hpp"
#include "validation/experiment_document.hpp"
#include "validation/node_text.hpp"
#include "validation/strategy_config.hpp"
#include "validation/strategy_json.hpp"

namespace fabricast::validation {

namespace {

using hw::JsonNode;
using hw::ObjectReader;
using strategy::StrategySpec;

constexpr std::array experiment_keys{"name", "model", "cluster", "workload", "strategy", "routing"};
constexpr hw::IntegerRange searched_micro_batches{1, 1 << 16};

/// {keys[0]: {keys[1]: … value}}: a strategy that says one thing, so that its reader says what is allowed.
JsonNode nested(const JsonNode& value, std::initializer_list<std::string> keys) {
  JsonNode node = value;
  for (auto key = std::rbegin(keys); key != std::rend(keys); ++key) {
    JsonNode outer = value;
    outer.value = JsonNode::Object{{*key, std::move(node)}};
    node = std::move(outer);
  }
  return node;
}

const JsonNode::Array& values_of(const JsonNode& list) {
  const JsonNode::Array& values = hw::as_array(list);
  if (values.empty()) hw::fail(list, "needs at least one value; leave the key out to allow all");
  return values;
}

/// What `get` makes of the strategies that say each value of the list alone.
template <class Get>
auto read_values(const JsonNode* list, std::initializer_list<std::string> keys, Get get) {
  using Value = decltype(get(StrategySpec{}));
  std::optional<std::vector<Value>> values;
  if (!list) return values;
  values.emplace();
  for (const JsonNode& node : values_of(*list)) {
    const Value value = get(read_strategy(nested(node, keys)));
    if (std::find(values->begin(), values->end(), value) != values->end()) hw::fail(node, "occurs twice; name every value once");
    values->push_back(value);
  }
  return values;
}

SearchChoices read_choices(const JsonNode& node) {
  ObjectReader reader(node);
  const auto list = [&](const char* key) { return reader.optional_child(key); };
  SearchChoices choices;
  choices.tensor = read_values(list("tensor"), {"tensor"}, [](const StrategySpec& s) { return s.tensor; });
  choices.pipeline = read_values(list("pipeline"), {"pipeline"}, [](const StrategySpec& s) { return s.pipeline; });
  choices.expert = read_values(list("expert"), {"expert"}, [](const StrategySpec& s) { return s.expert; });
  choices.expert_tensor = read_values(list("expert_tensor"), {"expert_tensor"}, [](const StrategySpec& s) { return s.expert_tensor.value_or(1); });
  choices.virtual_pipeline = read_values(list("virtual_pipeline"), {"virtual_pipeline"}, [](const StrategySpec& s) { return s.virtual_pipeline; });
  choices.axis_order = read_values(list("axis_order"), {"axis_order"}, [](const StrategySpec& s) { return s.axis_order; });
  choices.expert_placement = read_values(list("expert_placement"), {"expert_placement"}, [](const StrategySpec& s) { return s.expert_placement; });
  choices.expert_input = read_values(list("expert_input"), {"expert_input"}, [](const StrategySpec& s) { return s.expert_input; });
  choices.overlap_chunks = read_values(list("overlap"), {"overlap"}, [](const StrategySpec& s) { return s.overlap_chunks; });
  if (const JsonNode* algorithms = reader.optional_child("algorithms")) {
    ObjectReader axes(*algorithms);
    choices.tensor_algorithm = read_values(axes.optional_child("tensor"), {"algorithms", "tensor"}, [](const StrategySpec& s) { return s.algorithms.tensor; });
    choices.expert_algorithm = read_values(axes.optional_child("expert"), {"algorithms", "expert"}, [](const StrategySpec& s) { return s.algorithms.expert; });
    axes.finish();
  }
  if (const JsonNode* counts = list("micro_batches")) {
    choices.micro_batches.emplace();
    for (const JsonNode& value : values_of(*counts)) {
      const std::int64_t count = hw::as_integer(value, searched_micro_batches);
      if (std::find(choices.micro_batches->begin(), choices.micro_batches->end(), count) != choices.micro_batches->end()) hw::fail(value, "occurs twice; name every value once");
      choices.micro_batches->push_back(count);
    }
  }
  reader.finish();
  return choices;
}

/// The keys of an experiment out of a search file, with an empty strategy where it has none.
JsonNode experiment_within(const JsonNode& search, const std::filesystem::path& path) {
  JsonNode document = search;
  auto& members = std::get<JsonNode::Object>(document.value);
  std::erase_if(members, [](const auto& member) {
    return std::find(experiment_keys.begin(), experiment_keys.end(), member.first) == experiment_keys.end();
  });
  const auto add_missing = [&](const char* key, decltype(JsonNode::value) value) {
    if (document.find(key)) return;
    JsonNode added = document;
    added.value = std::move(value);
    added.pointer = hw::child_pointer(document.pointer, key);
    members.emplace_back(key, std::move(added));
  };
  add_missing("name", path.stem().string());
  add_missing("strategy", JsonNode::Object{});
  return document;
}

void reject_beside_experiment(ObjectReader& reader, const char* key) {
  if (const JsonNode* node = reader.optional_child(key)) {
    hw::fail(*node, "stands beside \"experiment\", which has one; remove it, or change it with --set");
  }
}

void fill_experiment(SearchSpec& search, const std::filesystem::path& path, ObjectReader& reader) {
  if (const auto file = reader.optional_text("experiment")) {
    for (const char* key : experiment_keys) reject_beside_experiment(reader, key);
    search.experiment_file = (path.parent_path() / *file).lexically_normal();
    search.root = hw::parse_json_file(search.experiment_file);
    search.base = load_experiment(search.experiment_file, search.sets);
    search.has_baseline = true;
    return;
  }
  (void)reader.child("model");
  (void)reader.child("cluster");
  (void)reader.child("workload");
  for (const char* key : experiment_keys) (void)reader.optional_child(key);
  for (const std::string& set : search.sets) {
    const std::string key = set.substr(0, set.find_first_of(".="));
    if (std::find(experiment_keys.begin(), experiment_keys.end(), key) != experiment_keys.end()) continue;
    throw hw::ConfigError("--set " + hw::one_line(set) + ": changes no part of the experiment; change the search file");
  }
  const JsonNode document = load_document(path, search.sets);
  search.experiment_file = path;
  search.root = hw::parse_json_file(path);
  search.has_baseline = document.find("strategy") != nullptr;
  search.base = read_experiment(experiment_within(document, path), path);
}

/// Does a "key=…" or "key.more=…" of the command line change it?
bool is_set(const std::vector<std::string>& sets, const std::string& key) {
  return std::any_of(sets.begin(), sets.end(), [&](const std::string& set) { return set.rfind(key + ".", 0) == 0 || set.rfind(key + "=", 0) == 0; });
}

std::string relative_to(const std::filesystem::path& folder, const std::filesystem::path& file) {
  const auto whole = [](const std::filesystem::path& path) { return std::filesystem::absolute(path).lexically_normal(); };
  return whole(file).lexically_relative(whole(folder)).generic_string();
}

void write_part(JsonWriter& json, const SearchSpec& search, const char* key, const std::filesystem::path& folder) {
  const JsonNode* name = search.root.find(key);
  const auto* file = name ? std::get_if<std::string>(&name->value) : nullptr;
  if (file && !is_set(search.sets, key)) {
    json.field(key, relative_to(folder, search.experiment_file.parent_path() / *file));
  } else {
    json.field_json(key, one_line_text(*search.base.document.find(key)));
  }
}

void write_workload(JsonWriter& json, const strategy::WorkloadSpec& workload) {
  json.open_object("workload");
  json.field("phase", "forward");
  json.field("sequences", workload.sequences);
  json.field("sequence_length", workload.sequence_length);
  json.field("micro_batches", workload.micro_batches);
  json.field("head_on_all_tokens", workload.head_on_all_tokens);
  json.close();
}

void write_routing(JsonWriter& json, const strategy::RoutingSpec& routing, const std::filesystem::path& folder) {
  json.open_object("routing");
  json.field("distribution", name_of(routing.distribution));
  json.field("seed", static_cast<std::int64_t>(routing.seed));
  if (routing.distribution == strategy::RoutingDistribution::zipf) json.field("exponent", routing.exponent);
  if (routing.distribution == strategy::RoutingDistribution::dirichlet) json.field("concentration", routing.concentration);
  if (routing.distribution == strategy::RoutingDistribution::file) json.field("file", relative_to(folder, routing.file));
  json.close();
}

}  // namespace

SearchSpec load_search(const std::filesystem::path& path, const std::vector<std::string>& sets) {
  const JsonNode document = hw::parse_json_file(path);
  ObjectReader reader(document);
  SearchSpec search;
  search.sets = sets;
  fill_experiment(search, path, reader);
  (void)reader.optional_choice<int>("objective", {{"tokens_per_second", 0}});
  const Bytes capacity = hw::least_memory(search.base.cluster);
  search.memory_limit = std::min(capacity, reader.optional_bytes("memory_limit").value_or(capacity));
  if (const JsonNode* space = reader.optional_child("space")) search.choices = read_choices(*space);
  search.top = reader.optional_integer("top", {1, 1000}).value_or(search.top);
  reader.finish();
  return search;
}

std::string experiment_text(const SearchSpec& search, const Experiment& found, const std::string& comment, const std::filesystem::path& folder) {
  JsonWriter json;
  json.open_object();
  json.field("name", found.name);
  json.field("comment", comment);
  write_part(json, search, "model", folder);
  write_part(json, search, "cluster", folder);
  write_workload(json, found.workload);
  json.open_object("strategy");
  write_strategy(json, found.strategy);
  json.close();
  write_routing(json, found.routing, folder);
  json.close();
  return std::move(json).text();
}

}  // namespace fabricast::validation
