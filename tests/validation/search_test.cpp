#include "validation/search.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/least_peak.hpp"
#include "validation/pipeline_bound.hpp"
#include "validation/search_text.hpp"
#include "validation/strategy_config.hpp"
#include "validation/strategy_json.hpp"

namespace fabricast::search_test {

using namespace fabricast::validation;
using tests::contains;
using tests::TemporaryFolder;

namespace {

/// Two nodes of four GPUs, eight experts; `more` are further keys of the search.
SearchSpec small_search(const TemporaryFolder& folder, const std::string& more = "", const std::vector<std::string>& sets = {}) {
  folder.write("experiment.json", tests::small_experiment());
  return load_search(folder.write("search.json", R"({ "experiment": "experiment.json")" + (more.empty() ? "" : ", " + more) + " }"), sets);
}

const std::string few = R"("space": { "virtual_pipeline": [1], "overlap": ["none", { "chunks": 2 }], "tensor": [1, 2], "micro_batches": [1, 2],
  "expert": [1, 2, 8], "algorithms": { "expert": ["automatic", "deduplicated"] } })";

std::string text_of(const std::vector<FoundStrategy>& found) {
  std::string text;
  for (const FoundStrategy& one : found) {
    JsonWriter json(JsonWriter::Layout::one_line);
    json.open_object();
    write_strategy(json, one.strategy);
    json.field("micro_batches", one.micro_batches);
    json.field("step", one.report.step.value());
    json.field("peak", one.report.memory.peak.value());
    json.close();
    text += std::move(json).text();
  }
  return text;
}

std::string error_of(const TemporaryFolder& folder, const std::string& more, const std::vector<std::string>& sets = {}) {
  try {
    (void)small_search(folder, more, sets);
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("the pruned search finds what the exhaustive one does, whatever the limit of memory, the routing and the threads") {
  const TemporaryFolder folder("search_same");
  struct Case {
    std::string more;
    std::vector<std::string> sets;
  };
  const std::vector<Case> cases{
      {few, {}},
      {few + R"(, "top": 1)", {}},
      {few + R"(, "top": 3, "memory_limit": "6148 MiB")", {"workload.sequence_length=256", "workload.sequences=64"}},
      {few, {"workload.sequence_length=256", "workload.sequences=512"}},
      {R"("top": 2, "space": { "overlap": ["none"], "pipeline": [1], "micro_batches": [1] })", {"routing={\"distribution\": \"zipf\"}"}},
      {few, {"model.moe.every=2"}},
  };
  for (const Case& one : cases) {
    CAPTURE(one.more);
    const SearchSpec spec = small_search(folder, one.more, one.sets);
    const SearchResult exhaustive = search(spec, {{}, 2, true, false}), pruned = search(spec, {{}, 2, false, false});
    CHECK(text_of(pruned.best) == text_of(exhaustive.best));
    CHECK(exhaustive.counts.pruned == 0);
    CHECK(exhaustive.counts.all() == pruned.counts.all());
    CHECK(pruned.counts.simulated <= exhaustive.counts.simulated);
    CHECK(text_of(search(spec, {{}, 1, false, false}).best) == text_of(pruned.best));
    CHECK(text_of(search(spec, {{}, 2, false, true}).pareto) == text_of(exhaustive.pareto));
    CHECK(search(spec, {{}, 1, false, false}).counts.pruned == pruned.counts.pruned);
  }
}

TEST_CASE("no strategy is simulated below the bound of its family, and bounds are near") {
  const TemporaryFolder folder("search_bound");
  const SearchSpec spec = small_search(folder, "", {"workload.sequences=64", "workload.sequence_length=256", "model.d_ff=512", "model.moe.d_ff=384"});
  const sim::CostModel cost = sim::cost_model(spec.base.cluster);
  double nearest = 0;
  int bounded = 0;
  const StrategySpace space = strategy_space(spec);
  for (std::size_t i = 0; i < space.families.size(); i += 23) {
    const StrategyFamily& family = space.families[i];
    for (const auto& order : family.axis_orders) {
      Experiment experiment = with_strategy(spec.base, family.strategy, family.micro_batches);
      experiment.strategy.axis_order = order;
      const auto bound = pipeline_bound(experiment, cost, true);
      if (!bound) continue;
      const Plan planned = plan(experiment);
      const Seconds least = to_seconds(sim::least_step(planned.schedule, planned.instances, ir::classes_by_size(planned.schedule), planned.topology, cost));
      const Report report = summarize(experiment, forecast(experiment, {}), sim::Fidelity::flow);
      CHECK(bound->computation <= bound->step);
      CHECK(bound->step <= least);
      CHECK(least <= report.step);
      const Bytes peak = least_peak(planned.schedule, ir::classes_by_size(planned.schedule));
      CHECK(bound->parameters <= peak);
      CHECK(peak + experiment.cluster.memory_reserve <= report.memory.peak);
      nearest = std::max(nearest, bound->step / report.step);
      ++bounded;
    }
  }
  CHECK(bounded > 40);
  CHECK(nearest > 0.5);
}

TEST_CASE("the space holds every way to share out the GPUs, and each of its strategies can be built") {
  const TemporaryFolder folder("search_space");
  const SearchSpec spec = small_search(folder);
  const StrategySpace space = strategy_space(spec);
  std::set<std::array<std::int64_t, 4>> degrees;
  for (const StrategyFamily& family : space.families) {
    const strategy::StrategySpec& s = family.strategy;
    degrees.insert({s.tensor, s.pipeline, s.expert, s.expert_tensor.value_or(s.tensor)});
    CHECK_NOTHROW((void)plan(with_strategy(spec.base, s, family.micro_batches)));
  }
  // Layers 4, heads 8, 8 experts of 128 columns on 2 x 4 GPUs: pipeline, tensor, expert and expert_tensor are powers of 2, with pipeline · tensor <= 8,
  // pipeline · expert · expert_tensor <= 8, tensor and expert_tensor <= 4, pipeline <= 4. By pipeline: 3 · 9, 3 · 6 and 2 · 3 ways.
  CHECK(degrees.size() == 27 + 18 + 6);
  const SearchSpec narrow = small_search(folder, R"("space": { "tensor": [2], "expert": [4, 3], "expert_tensor": [1], "pipeline": [1], "micro_batches": [1],
    "expert_input": ["sequence_sharded"], "overlap": [{ "chunks": 4 }], "axis_order": [["data", "tensor", "context", "pipeline"]],
    "algorithms": { "expert": ["pairwise"] } })");
  const StrategySpace one = strategy_space(narrow);
  REQUIRE(one.families.size() == 1);
  CHECK(one.families[0].size() == 1);
  CHECK(one.families[0].strategy.overlap_chunks == 4);
  CHECK(one.families[0].algorithms[0].expert == hw::CollectiveAlgorithm::pairwise);
}

TEST_CASE("a limit of memory keeps out what needs more, and where nothing fits the smallest is told of") {
  const TemporaryFolder folder("search_memory");
  const SearchResult all = search(small_search(folder, few), {{}, 2, false, true});
  REQUIRE(all.pareto.size() > 1);
  const Bytes least = all.pareto.back().report.memory.peak;
  const SearchResult tight = search(small_search(folder, few + R"(, "memory_limit": ")" + std::to_string(least.value()) + " B\""), {{}, 2, false, false});
  REQUIRE_FALSE(tight.best.empty());
  CHECK(tight.best.front().report.memory.peak == least);
  CHECK(tight.counts.misfits > 0);
  const SearchResult none = search(small_search(folder, few + R"(, "memory_limit": ")" + std::to_string(least.value() - 1) + " B\""), {{}, 2, false, false});
  CHECK(none.best.empty());
  REQUIRE(none.smallest);
  CHECK(none.smallest->report.memory.peak <= least);
}

TEST_CASE("the best strategy written as an experiment is forecast the same when it is read again") {
  const TemporaryFolder folder("search_write");
  folder.write("parts/model.json", tests::small_model);
  folder.write("parts/cluster.json", tests::small_cluster());
  folder.write("experiment.json", tests::small_experiment("\"parts/model.json\"", "\"parts/cluster.json\""));
  const auto path = folder.write("search.json", R"({ "experiment": "experiment.json", )" + few + " }");
  for (const std::vector<std::string>& sets : {std::vector<std::string>{}, {"cluster.gpu.memory_bandwidth=3 TB/s", "workload.sequences=32"}}) {
    const SearchSpec spec = load_search(path, sets);
    const FoundStrategy best = search(spec, {{}, 2, false, false}).best.front();
    const std::string text = experiment_text(spec, with_strategy(spec.base, best.strategy, best.micro_batches), "c", folder.path() / "out");
    CHECK(contains(text, R"("model": "../parts/model.json")"));
    CHECK(contains(text, "\"cluster\": \"../parts/cluster.json\"") == sets.empty());
    const Experiment again = load_experiment(folder.write("out/best.json", text));
    Report report = summarize(again, forecast(again, {}), sim::Fidelity::flow);
    report.wall_seconds = best.report.wall_seconds;
    CHECK(to_json(report) == to_json(best.report));
  }
}

TEST_CASE("a strategy that is written reads back as it was") {
  strategy::StrategySpec s;
  s.tensor = 2, s.pipeline = 4, s.expert = 8, s.expert_tensor = 1, s.virtual_pipeline = 2, s.overlap_chunks = 4;
  s.axis_order = {ir::Axis::data, ir::Axis::tensor, ir::Axis::context, ir::Axis::pipeline};
  s.expert_placement = strategy::ExpertPlacement::replicated;
  s.expert_input = strategy::ExpertInput::replicated;
  s.algorithms = {hw::CollectiveAlgorithm::ring, hw::CollectiveAlgorithm::deduplicated};
  const auto text = [](const strategy::StrategySpec& spec) {
    JsonWriter json;
    json.open_object();
    write_strategy(json, spec);
    json.close();
    return std::move(json).text();
  };
  const strategy::StrategySpec back = read_strategy(hw::parse_json_text(text(s), "s"));
  CHECK(text(back) == text(s));
  CHECK(back.axis_order == s.axis_order);
  CHECK(back.expert_tensor == s.expert_tensor);
  CHECK(back.algorithms.expert == s.algorithms.expert);
}

TEST_CASE("a search file at fault is told of with its place and the remedy") {
  const TemporaryFolder folder("search_fault");
  CHECK(contains(error_of(folder, R"("objectve": "tokens_per_second")"), "did you mean \"objective\"?"));
  CHECK(contains(error_of(folder, R"("objective": "fun")"), "tokens_per_second"));
  CHECK(contains(error_of(folder, R"("model": "m.json")"), "beside \"experiment\""));
  CHECK(contains(error_of(folder, R"("space": { "tensr": [1] })"), "did you mean \"tensor\"?"));
  CHECK(contains(error_of(folder, R"("space": { "tensor": [] })"), "at least one value"));
  CHECK(contains(error_of(folder, R"("space": { "tensor": [0] })"), "/space/tensor/0"));
  CHECK(contains(error_of(folder, R"("space": { "tensor": [1, 1] })"), "occurs twice"));
  CHECK(contains(error_of(folder, R"("space": { "algorithms": { "expert": ["flatt"] } })"), "did you mean \"flat\"?"));
  CHECK(contains(error_of(folder, R"("top": 0)"), "/top"));
  CHECK(contains(error_of(folder, "", {"workload.sequnces=3"}), "sequences"));
  CHECK_THROWS_WITH_AS((void)search(small_search(folder, R"("space": { "tensor": [3] })"), {}), doctest::Contains("empty"), hw::ConfigError);
}

}  // namespace fabricast::search_test
