#include "validation/regression.hpp"

#include <doctest/doctest.h>

#include <string>

#include "hardware_models/config_error.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"

namespace fabricast::regression_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

/// A report of two kernels and one collective: gate + down + exposed + 2 ms idle make the step.
hw::JsonNode report(const std::string& gate, const std::string& down = "0.020", const std::string& exposed = "0.008") {
  return hw::parse_json_text(R"({ "tokens_per_second": 1000, "step": )" + gate + R"(,
    "ops": [ { "label": "gate", "busy_seconds": )" +
                                 gate + R"( }, { "label": "down", "busy_seconds": )" + down + R"( } ],
    "collectives": [ { "label": "dispatch", "exposed_seconds": )" +
                                 exposed + R"( } ],
    "time": { "waiting_seconds": 0.002, "idle_seconds": 0.002 } })",
                             "report");
}

BaselineEntry entry(double value, Side side, double tolerance = 0.1, bool relative = true) {
  BaselineEntry result;
  result.experiment = "e.json";
  result.metrics = {{"step", value, relative, tolerance, side}};
  return result;
}

bool regresses(double value, double now, Side side, double tolerance, bool relative) {
  const hw::JsonNode is = report(std::to_string(now));
  return check_experiment(entry(value, side, tolerance, relative), "e", is, nullptr).metrics.at(0).regressed;
}

}  // namespace

// allowed: value · (1 ± relative), or value ± absolute
TEST_CASE("a metric regresses where it leaves its tolerance on the side that is watched, not at its edge") {
  for (const bool relative : {true, false}) {
    const double tolerance = relative ? 0.25 : 1;
    CHECK(regresses(4, 2.9, Side::lower, tolerance, relative));
    CHECK_FALSE(regresses(4, 3, Side::lower, tolerance, relative));
    CHECK_FALSE(regresses(4, 9, Side::lower, tolerance, relative));
    CHECK(regresses(4, 5.1, Side::upper, tolerance, relative));
    CHECK_FALSE(regresses(4, 5, Side::upper, tolerance, relative));
    CHECK_FALSE(regresses(4, 1, Side::upper, tolerance, relative));
    CHECK(regresses(4, 2.9, Side::both, tolerance, relative));
    CHECK(regresses(4, 5.1, Side::both, tolerance, relative));
    CHECK_FALSE(regresses(4, 4.5, Side::both, tolerance, relative));
  }
}

TEST_CASE("the ops that moved are named, the largest change first, and their changes sum to the step's") {
  const hw::JsonNode before = report("0.100"), now = report("0.130", "0.015");
  const ExperimentCheck check = check_experiment(entry(0, Side::upper), "e", now, &before);
  REQUIRE(check.classes.size() == 2);
  CHECK(check.classes[0].name == "gate");
  CHECK((check.classes[0].now - check.classes[0].before).value() == doctest::Approx(0.03));
  CHECK(check.classes[1].name == "down");
  CHECK(check.step_change.value() == doctest::Approx(0.025));
}

TEST_CASE("against a baseline its stored times count, a class that came or went counts from or to 0") {
  BaselineEntry with_times = entry(0.1, Side::upper);
  with_times.times = class_times(report("0.100"));
  with_times.times.push_back({"computation", "gone", Seconds(0.004)});
  with_times.times.erase(with_times.times.begin() + 1);  // down is new
  const ExperimentCheck check = check_experiment(with_times, "e", report("0.100"), nullptr);
  REQUIRE(check.classes.size() == 2);
  CHECK(check.classes[0].name == "down");
  CHECK(check.classes[0].before == Seconds(0));
  CHECK(check.classes[1].name == "gone");
  CHECK(check.classes[1].now == Seconds(0));
}

TEST_CASE("a baseline is rewritten as it was read, times to seven digits") {
  const tests::TemporaryFolder folder("baseline");
  Baseline baseline;
  baseline.comment = "why";
  baseline.entries = {entry(1.0 / 3, Side::both, 0.5, false)};
  baseline.entries[0].sets = {"a=1"};
  baseline.entries[0].times = {{"computation", "gate", Seconds(1.0 / 3)}, {"idle", "idle otherwise", Seconds(0)}};
  const std::string text = to_json(baseline);
  CHECK(tests::contains(text, "\"gate\": 0.3333333"));
  const Baseline read = load_baseline(folder.write("b.json", text));
  CHECK(read.entries.at(0).metrics.at(0).value == 1.0 / 3);
  CHECK(to_json(read) == text);
}

TEST_CASE("a baseline at fault is one line with its place") {
  const tests::TemporaryFolder folder("baseline_fault");
  const auto says = [&](const std::string& entry, const std::string& part) {
    try {
      (void)load_baseline(folder.write("b.json", R"({ "experiments": [)" + entry + "] }"));
      FAIL("no complaint about ", entry);
    } catch (const hw::ConfigError& error) {
      CHECK_MESSAGE(tests::contains(error.what(), part), error.what());
    }
  };
  const auto metric = [](const std::string& text) { return R"({ "experiment": "e", "metrics": { "step": )" + text + "} }"; };
  says("", "names no experiment");
  says(R"({ "experiment": "e", "metrics": {} })", "names no metric");
  says(metric(R"({ "value": 1, "side": "lower" })"), "takes a tolerance");
  says(metric(R"({ "value": 1, "side": "lower", "relative": 0.1, "absolute": 1 })"), "takes a tolerance");
  says(metric(R"({ "value": 1, "side": "loewr", "relative": 0.1 })"), "lower");
  says(metric(R"({ "value": 1, "side": "lower", "relative": -0.1 })"), "-0.1");
  says(metric(R"({ "vlaue": 1, "side": "lower", "relative": 0.1 })"), "value");
}

TEST_CASE("a metric that the report lacks is the user's mistake, with what there is instead") {
  BaselineEntry misspelt = entry(1, Side::lower);
  misspelt.metrics[0].path = "tokens_per_secnd";
  CHECK_THROWS_WITH_AS((void)check_experiment(misspelt, "e", report("1"), nullptr), doctest::Contains("did you mean 'tokens_per_second'?"),
                       hw::ConfigError);
}

TEST_CASE("golden: text, Markdown and JUnit of one regression and one experiment that is new") {
  const hw::JsonNode before = report("0.100"), now = report("0.130");
  Regression regression{
      "base & head",
      {check_experiment(entry(0, Side::upper), "slow<er>", now, &before), check_experiment(entry(0, Side::upper), "new", before, &before)}};
  regression.experiments[1].held = false;
  CHECK(regression.regressed());
  CHECK(summary(regression, {}) ==
        "1 of 2 metrics regressed against base & head, 1 moved\n"
        "  experiment  metric  before   now    change  allowed\n"
        "  slow<er>    step       0.1  0.13  +30.00 %    +10 %  REGRESSED\n"
        "  new         step       0.1   0.1      none    +10 %  new\n"
        "What moved it (mean over ranks)\n"
        "  slow<er>: step +30.00 ms: gate (computation) +30.00 ms\n");
  CHECK(to_markdown(regression) ==
        "### Predicted performance: 1 of 2 metrics regressed against base & head, 1 moved\n\n"
        "| experiment | metric | before | now | change | allowed | |\n|---|---|---:|---:|---:|---:|---|\n"
        "| slow<er> | step | 0.1 | 0.13 | +30.00 % | +10 % | **REGRESSED** |\n| new | step | 0.1 | 0.1 | none | +10 % | new |\n"
        "\nWhat moved it (mean over ranks):\n\n- `slow<er>` step +30.00 ms: gate (computation) +30.00 ms\n");
  CHECK(to_junit(regression) ==
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuites name=\"fabricast check\" tests=\"2\" failures=\"1\">\n"
        "  <testsuite name=\"slow&lt;er&gt;\" tests=\"1\" failures=\"1\">\n"
        "    <testcase classname=\"slow&lt;er&gt;\" name=\"step\">\n"
        "      <failure message=\"0.13 instead of 0.1 (+30.00 %, allowed +10 %)\">step +30.00 ms: gate (computation) +30.00 ms</failure>\n"
        "    </testcase>\n  </testsuite>\n"
        "  <testsuite name=\"new\" tests=\"1\" failures=\"0\">\n    <testcase classname=\"new\" name=\"step\"/>\n  </testsuite>\n"
        "</testsuites>\n");
}

}  // namespace fabricast::regression_test
