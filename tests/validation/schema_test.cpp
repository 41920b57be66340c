// The JSON Schemas that editors check against say the same as the strict readers.

// Not worth optimising: the two header-only libraries take most of a minute. And std::regex, which valijson uses, draws false warnings
// from optimising GCC 12 when sanitizers are on (GCC bug 105616).
#pragma GCC optimize("O0")
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "tests/temporary_folder.hpp"
#include "validation/experiment.hpp"

namespace fabricast::schema_test {

namespace fs = std::filesystem;
using nlohmann::json;
using namespace fabricast;

namespace {

const fs::path configs = fs::path(FABRICAST_SOURCE_DIR) / "configs";

json parse(const fs::path& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error("no file " + path.string());
  constexpr bool exceptions = true, comments = true;
  return json::parse(stream, nullptr, exceptions, comments);
}

/// A schema, with the others that it refers to by file name.
class Schema {
 public:
  explicit Schema(const std::string& file) {
    const json text = parse(configs / "schemas" / file);
    const valijson::adapters::NlohmannJsonAdapter adapter(text);
    const auto fetch = [](const std::string& uri) { return new json(parse(configs / "schemas" / uri)); };
    const auto release = [](const json* document) { delete document; };
    valijson::SchemaParser().populateSchema(adapter, schema_, fetch, release);
  }

  /// The first complaint, or nothing.
  [[nodiscard]] std::string complaint(const json& document) const {
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    valijson::ValidationResults results;
    const valijson::adapters::NlohmannJsonAdapter adapter(document);
    if (validator.validate(schema_, adapter, &results)) return {};
    valijson::ValidationResults::Error error;
    results.popError(error);
    std::string place;
    for (const std::string& part : error.context) place += part;
    return place + ": " + error.description;
  }

 private:
  valijson::Schema schema_;
};

void put_file(json& holder, const std::string& key, const fs::path& folder) {
  if (holder.at(key).is_string()) holder[key] = parse(folder / holder.at(key).get<std::string>());
}

/// A shipped experiment with all its files inlined.
json whole_experiment(const std::string& name) {
  const fs::path folder = configs / "experiments";
  json experiment = parse(folder / name);
  const fs::path cluster_folder = (folder / experiment.at("cluster").get<std::string>()).parent_path();
  for (const char* key : {"model", "cluster", "strategy"}) put_file(experiment, key, folder);
  for (const char* key : {"gpu", "collectives"}) put_file(experiment["cluster"], key, cluster_folder);
  return experiment;
}

/// Pointers to every value that `wanted` holds for, the root included.
template <class Wanted>
void collect(const json& value, const json::json_pointer& at, Wanted wanted, std::vector<json::json_pointer>& found) {
  if (wanted(value)) found.push_back(at);
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) collect(member, at / key, wanted, found);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) collect(value[i], at / i, wanted, found);
  }
}

template <class Wanted>
std::vector<json::json_pointer> places(const json& value, Wanted wanted) {
  std::vector<json::json_pointer> found;
  collect(value, json::json_pointer(), wanted, found);
  return found;
}

/// The reader's complaint, or nothing.
std::string reader_complaint(const json& experiment, const tests::TemporaryFolder& folder) {
  const auto path = folder.write("experiment.json", experiment.dump(1));
  try {
    (void)validation::load_experiment(path);
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return {};
}

const char* const experiments[] = {"ep64_tp2_chunked.json", "mixtral_8x7b_ep8.json"};

}  // namespace

TEST_CASE("every shipped configuration names its schema and satisfies it") {
  int count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(configs)) {
    const fs::path& path = entry.path();
    if (path.extension() != ".json" || path.parent_path().filename() == "schemas") continue;
    CAPTURE(path.string());
    const json document = parse(path);
    REQUIRE(document.contains("$schema"));
    const fs::path schema = (path.parent_path() / document.at("$schema").get<std::string>()).lexically_normal();
    REQUIRE(schema.parent_path() == configs / "schemas");
    CHECK(Schema(schema.filename().string()).complaint(document) == "");
    ++count;
  }
  CHECK(count >= 20);
}

TEST_CASE("the baseline that our CI checks satisfies its schema, and one with an unknown key or no tolerance does not") {
  const Schema schema("baseline.schema.json");
  json baseline = parse(configs.parent_path() / "validation/baselines/main.json");
  CHECK(schema.complaint(baseline) == "");
  json& metric = baseline["experiments"][0]["metrics"]["tokens_per_second"];
  metric["unknown_key"] = 1;
  CHECK(schema.complaint(baseline) != "");
  metric.erase("unknown_key");
  metric.erase("relative");
  CHECK(schema.complaint(baseline) != "");
}

TEST_CASE("an experiment with all its files inlined satisfies the schema and the reader") {
  const Schema schema("experiment.schema.json");
  const tests::TemporaryFolder folder("schema_whole");
  for (const char* name : experiments) {
    const json experiment = whole_experiment(name);
    CHECK(schema.complaint(experiment) == "");
    CHECK(reader_complaint(experiment, folder) == "");
  }
}

TEST_CASE("an unknown key in any object fails the schema and the reader") {
  const Schema schema("experiment.schema.json");
  const tests::TemporaryFolder folder("schema_unknown");
  for (const char* name : experiments) {
    const json experiment = whole_experiment(name);
    const auto objects = places(experiment, [](const json& value) { return value.is_object(); });
    CHECK(objects.size() > 20);
    for (const auto& place : objects) {
      CAPTURE(place.to_string());
      json changed = experiment;
      changed[place]["unknown_key"] = 1;
      CHECK(schema.complaint(changed) != "");
      CHECK(reader_complaint(changed, folder) != "");
    }
  }
}

TEST_CASE("schema and reader agree on which keys may be left out") {
  const Schema schema("experiment.schema.json");
  const tests::TemporaryFolder folder("schema_missing");
  for (const char* name : experiments) {
    const json experiment = whole_experiment(name);
    for (const auto& place : places(experiment, [](const json&) { return true; })) {
      if (place.empty() || !experiment[place.parent_pointer()].is_object()) continue;
      CAPTURE(place.to_string());
      json changed = experiment;
      changed[place.parent_pointer()].erase(place.back());
      // Not sayable in a simple schema: d_ff is needed where a layer is dense, and every layer is once moe is gone.
      if (place.to_string() == "/model/moe" && !experiment["model"].contains("d_ff")) continue;
      const std::string reader = reader_complaint(changed, folder);
      CAPTURE(reader);
      CHECK((schema.complaint(changed) == "") == (reader == ""));
    }
  }
}

TEST_CASE("a value of the wrong type anywhere fails the schema and the reader") {
  const Schema schema("experiment.schema.json");
  const tests::TemporaryFolder folder("schema_type");
  const json experiment = whole_experiment(experiments[0]);
  for (const auto& place : places(experiment, [](const json&) { return true; })) {
    CAPTURE(place.to_string());
    json changed = experiment;
    changed[place] = nullptr;
    CHECK(schema.complaint(changed) != "");
    CHECK(reader_complaint(changed, folder) != "");
  }
}

TEST_CASE("a quantity without a known unit fails the schema and the reader") {
  const Schema schema("experiment.schema.json");
  const tests::TemporaryFolder folder("schema_quantity");
  const json experiment = whole_experiment(experiments[0]);
  const char* const quantities[] = {"/cluster/memory_reserve", "/cluster/node/nvlink_bandwidth", "/cluster/node/nvlink_latency",
                                    "/cluster/gpu/peak/bf16"};
  for (const char* place : quantities) {
    for (const char* value : {"5", "5 gib", "5 Gb/s", "-5 GB/s", "5 usec", "5 TFLOPS", "GiB", "5 GiB "}) {
      CAPTURE(place);
      CAPTURE(value);
      json changed = experiment;
      changed[json::json_pointer(place)] = value;
      CHECK(schema.complaint(changed) != "");
      CHECK(reader_complaint(changed, folder) != "");
    }
  }
}

TEST_CASE("every form of a quantity that the reader takes satisfies the schema") {
  const Schema schema("experiment.schema.json");
  const tests::TemporaryFolder folder("schema_forms");
  const json experiment = whole_experiment(experiments[0]);
  for (const char* value : {"6 GiB", "6GiB", "6.5   GiB", "1e9 B", "2.5e3 MB", "0.004 TB", "1E+6 kB"}) {
    CAPTURE(value);
    json changed = experiment;
    changed["cluster"]["memory_reserve"] = value;
    CHECK(schema.complaint(changed) == "");
    CHECK(reader_complaint(changed, folder) == "");
  }
}

}  // namespace fabricast::schema_test
