#include "validation/grid.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"
#include "validation/experiment_document.hpp"
#include "validation/fingerprint.hpp"
#include "validation/grid_point.hpp"
#include "validation/grid_summary.hpp"
#include "validation/node_text.hpp"
#include "validation/parallel.hpp"

namespace fabricast::grid_test {

using namespace fabricast::validation;
using tests::contains;
using tests::TemporaryFolder;

namespace {

std::string error_of(const std::string& grid) {
  const TemporaryFolder folder("grid_error");
  try {
    (void)load_grid(folder.write("sweep.json", grid));
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

std::string fingerprint_of(const TemporaryFolder& folder, const std::vector<std::string>& sets = {}) {
  const auto path = folder.path() / "experiment.json";
  return fingerprint(load_document(path, sets), path, "flow");
}

PointResult possible(double tokens_per_second, bool fits = true) {
  PointResult point;
  point.figures = PointFigures{Seconds(1), tokens_per_second, 0, 0, Bytes(1), fits};
  return point;
}

PointResult impossible(const std::string& why) {
  PointResult point;
  point.error = why;
  return point;
}

}  // namespace

TEST_CASE("a grid is every combination of its axes, the last varying fastest, and zipped keys move together") {
  const TemporaryFolder folder("grid_points");
  const Grid grid = load_grid(folder.write("s/sweep.json", R"({ "experiment": "../e.json",   // a comment
    "set": { "a": [1, 2], "b.c": ["64 GiB", {"k": [true, null]}] },
    "zip": [ { "d": [1, 1], "e": [0.5, 0.25] } ] })"));
  CHECK(grid.experiment == folder.path() / "e.json");
  REQUIRE(grid.points() == 8);   // 2 · 2 · 2, not 2 · 2 · 2 · 2
  CHECK(grid.keys() == std::vector<std::string>{"a", "b.c", "d", "e"});
  CHECK(grid.settings(0) == std::vector<std::string>{"a=1", "b.c=\"64 GiB\"", "d=1", "e=0.5"});
  CHECK(grid.settings(1) == std::vector<std::string>{"a=1", "b.c=\"64 GiB\"", "d=1", "e=0.25"});
  CHECK(grid.settings(7) == std::vector<std::string>{"a=2", R"(b.c={"k": [true, null]})", "d=1", "e=0.25"});
}

TEST_CASE("a sweep file at fault is told of with its place and the remedy") {
  CHECK(contains(error_of(R"({ "set": { "a": [1] } })"), "experiment"));
  CHECK(contains(error_of(R"({ "experiment": "e.json" })"), "sets nothing"));
  CHECK(contains(error_of(R"({ "experiment": "e.json", "sett": { "a": [1] } })"), "did you mean \"set\"?"));
  CHECK(contains(error_of(R"({ "experiment": "e.json", "set": { "a": 1 } })"), "must be an array"));
  CHECK(contains(error_of(R"({ "experiment": "e.json", "set": { "a": [] } })"), "at least one value"));
  CHECK(contains(error_of(R"({ "experiment": "e.json", "set": { "a": [2, 1, 2] } })"), "occurs twice"));
  CHECK(contains(error_of(R"({ "experiment": "e.json", "set": { "a": [1] }, "zip": [ { "a": [2] } ] })"), "set twice"));
  CHECK(contains(error_of(R"({ "experiment": "e.json", "zip": [ { "a": [1, 2], "b": [1] } ] })"), "equally many"));
  CHECK(contains(error_of(R"({ "experiment": "e.json", "zip": [ { "a": [1, 1], "b": [2, 2] } ] })"), "occurs twice"));
  CHECK(error_of(R"({ "experiment": "e.json", "zip": [ { "a": [1, 1], "b": [2, 3] } ] })") == "no error");
}

TEST_CASE("a fingerprint changes with every value that counts and with nothing else") {
  const TemporaryFolder folder("grid_fingerprint");
  folder.write("experiment.json", tests::small_experiment());
  const std::string plain = fingerprint_of(folder);
  CHECK(plain.size() == 16);
  CHECK(fingerprint_of(folder) == plain);
  CHECK(fingerprint_of(folder, {"workload.sequences=32"}) != plain);
  CHECK(fingerprint_of(folder, {"cluster.gpu.memory=\"81 GiB\""}) != plain);
  CHECK(fingerprint(load_document(folder.path() / "experiment.json", {}), folder.path() / "experiment.json", "bound") != plain);

  // The model in a file of its own, keys in another order, a comment.
  folder.write("model.json", tests::replaced(tests::replaced(tests::small_model, R"("name": "m", )", R"("comment": "c", )"), R"("layers": 4,)",
                                             R"("layers": 4, "name": "m",)"));
  folder.write("experiment.json", tests::small_experiment("\"model.json\"", tests::small_cluster()));
  CHECK(fingerprint_of(folder) == plain);
  folder.write("model.json", tests::replaced(tests::small_model, R"("layers": 4)", R"("layers": 8)"));
  CHECK(fingerprint_of(folder) != plain);

  // A routing file counts by what it holds.
  const std::vector<std::string> routed{R"(routing={"distribution": "file", "file": "r.csv"})"};
  folder.write("r.csv", "layer,expert,tokens\n");
  const std::string before = fingerprint_of(folder, routed);
  folder.write("r.csv", "layer,expert,tokens\n0,0,1\n");
  CHECK(fingerprint_of(folder, routed) != before);
}

TEST_CASE("values come back as the text that they were read from, or mean the same") {
  const std::string text = R"({"b": [1, -2.5, true, null, "q\"x"], "a": {"comment": "c", "d": 1e+300}})";
  CHECK(one_line_text(hw::parse_json_text(text, "t")) == text);
  CHECK(canonical_text(hw::parse_json_text(text, "t")) == R"({"a": {"d": 1e+300}, "b": [1, -2.5, true, null, "q\"x"]})");
}

TEST_CASE("a point's line holds the report that simulate would write, and reads back") {
  const TemporaryFolder folder("grid_line");
  folder.write("experiment.json", tests::small_experiment());
  const Grid grid = load_grid(folder.write("sweep.json", R"({ "experiment": "experiment.json", "set": { "strategy.tensor": [2, 3] } })"));
  const GridSettings settings{{"workload.sequences=32"}, {}, "test"};
  const PreparedPoint prepared = prepare_point(grid, 0, settings);
  const std::string line = forecast_line(grid, 0, prepared, settings);
  CHECK(line.find('\n') == line.size() - 1);
  const PointResult result = read_point_line(line, "line");
  CHECK(result.key == prepared.key);
  CHECK(result.key.set == R"({"strategy.tensor": 2})");
  const Experiment experiment = load_experiment(grid.experiment, {"workload.sequences=32", "strategy.tensor=2"});
  const Report report = summarize(experiment, forecast(experiment, {}), sim::Fidelity::flow);
  REQUIRE(result.figures);
  CHECK(result.figures->step == report.step);
  CHECK(result.figures->tokens_per_second == report.tokens_per_second);
  CHECK(result.figures->peak == report.memory.peak);

  const PointResult forbidden = read_point_line(forecast_line(grid, 1, prepare_point(grid, 1, settings), settings), "line");
  CHECK_FALSE(forbidden.figures);
  CHECK(contains(forbidden.error, "/strategy/tensor: 3"));
  CHECK_THROWS_AS((void)read_point_line(R"({"schema": "fabricast.report/1"})", "f line 3"), hw::ConfigError);
}

TEST_CASE("points that fit come first, then the faster, equal ones in the grid's order") {
  const std::vector<PointResult> points{possible(1), possible(9, false), impossible("b"), possible(3), possible(3), impossible("a"), impossible("b")};
  CHECK(ranking(points) == std::vector<std::size_t>{3, 4, 0, 1});
  const auto why = reasons(points);
  REQUIRE(why.size() == 2);
  CHECK(why[0].text == "b");
  CHECK(why[0].points == 2);
}

TEST_CASE("every index is worked on once, and the least that fails is told of, whatever the number of threads") {
  for (const std::size_t threads : {1, 2, 8}) {
    std::vector<std::atomic<int>> calls(1000);
    for_each_index(calls.size(), threads, [&](std::size_t i) { ++calls[i]; });
    for (const auto& count : calls) CHECK(count == 1);
    std::string told;
    try {
      for_each_index(1000, threads, [](std::size_t i) {
        if (i >= 17) throw std::runtime_error(std::to_string(i));
      });
    } catch (const std::runtime_error& error) {
      told = error.what();
    }
    CHECK(told == "17");
  }
  for_each_index(0, 4, [](std::size_t) { FAIL("no index, no call"); });
}

}  // namespace fabricast::grid_test
