#include "validation/measured_trace.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "hardware_models/config_error.hpp"
#include "runtime/host_executor.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"
#include "validation/measurement.hpp"

namespace fabricast::measured_trace_test {

using namespace fabricast;
using namespace fabricast::tests;

namespace {

struct Ran {
  validation::Experiment experiment;
  validation::Plan plan;
  runtime::RunOptions options;
  runtime::MeasuredRun run;
};

/// EP4_TP2 of a model that runs in a millisecond.
const Ran& ran() {
  static const Ran result = [] {
    const TemporaryFolder folder("measured_trace");
    std::ofstream(folder.path() / "e.json") << replaced(small_experiment(small_model, small_cluster()), "\"sequence_length\": 128", "\"sequence_length\": 8");
    const auto experiment = validation::load_experiment(folder.path() / "e.json");
    auto plan = validation::plan(experiment);
    runtime::RunOptions options;
    options.warm_up_steps = 0;
    options.timed_steps = 3;
    auto run = runtime::HostExecutor().run(plan.schedule, options);
    return Ran{experiment, std::move(plan), options, std::move(run)};
  }();
  return result;
}

validation::MeasuredTrace trace_of(const std::vector<Rank>& ranks = {}) {
  return validation::measured_trace("small", "host", ran().plan.schedule, ran().options, ran().run, ranks);
}

validation::MeasuredTrace read_back(const validation::MeasuredTrace& trace) {
  const TemporaryFolder folder("measured_trace");
  std::ofstream file(folder.path() / "t.jsonl");
  validation::write_measured_trace(trace, file);
  file.close();
  return validation::read_measured_trace(folder.path() / "t.jsonl");
}

std::string error_of_reading(const std::string& text) {
  const TemporaryFolder folder("measured_trace");
  std::ofstream(folder.path() / "t.jsonl") << text;
  try {
    (void)validation::read_measured_trace(folder.path() / "t.jsonl");
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a measured trace reads back as it was, op by op to the picosecond") {
  const auto back = read_back(trace_of());
  const ir::Trace expected = ran().run.median_step(), found = validation::as_trace(back, ran().plan.schedule);
  REQUIRE(found.ops.size() == expected.ops.size());
  std::size_t wrong = 0, ops = 0;
  for (std::size_t r = 0; r < expected.ops.size(); ++r) {
    for (std::size_t i = 0; i < expected.ops[r].size(); ++i, ++ops) {
      const auto &a = expected.ops[r][i], &b = found.ops[r][i];
      wrong += a.issued != b.issued || a.start != b.start || a.end != b.end;
      wrong += back.ops[ops].seconds.median != ran().run.ops[r][i].median;
    }
  }
  CHECK(wrong == 0);
  CHECK(back.header.experiment == "small");
  CHECK(back.header.timed_steps == 3);
  CHECK(back.header.step.median == ran().run.step_length.median);
  CHECK(back.header.ops == static_cast<std::int64_t>(ops));
}

TEST_CASE("traces of single ranks merge into that of all, in any order") {
  const auto ranks = static_cast<std::int32_t>(ran().plan.schedule.ranks.size());
  std::vector<validation::MeasuredTrace> parts;
  for (std::int32_t r = ranks - 1; r >= 0; --r) parts.push_back(read_back(trace_of({Rank{r}})));
  std::ostringstream merged, whole;
  validation::write_measured_trace(validation::merge(parts), merged);
  validation::write_measured_trace(read_back(trace_of()), whole);
  CHECK(merged.str() == whole.str());

  auto twice = parts;
  twice.push_back(parts.front());
  CHECK_THROWS_WITH_AS((void)validation::merge(twice), doctest::Contains("is in two of the traces"), hw::ConfigError);
  auto fewer = parts;
  fewer.pop_back();
  CHECK_THROWS_WITH_AS((void)validation::merge(fewer), doctest::Contains("give the traces of all"), hw::ConfigError);
  auto other = parts;
  other.back().header.seed = 9;
  CHECK_THROWS_WITH_AS((void)validation::merge(other), doctest::Contains("not of one run"), hw::ConfigError);
}

TEST_CASE("a measured trace that is none is refused with file and record") {
  CHECK(error_of_reading("").find("expected a measured trace") != std::string::npos);
  CHECK(error_of_reading("{\"schema\": \"fabricast.report/1\"}\n").find("fabricast.trace/1") != std::string::npos);
  std::ostringstream text;
  validation::write_measured_trace(trace_of(), text);
  const std::string good = text.str();
  CHECK(error_of_reading(good).empty());
  const std::string cut = error_of_reading(good.substr(0, good.size() - 20));
  CHECK(cut.find("t.jsonl, record ") != std::string::npos);
  CHECK(error_of_reading(replaced(good, "\"issued\"", "\"isued\"")).find("record 2") != std::string::npos);
}

TEST_CASE("a trace of another schedule does not join") {
  auto trace = trace_of();
  trace.ops.back().label = "another";
  CHECK_THROWS_WITH_AS((void)validation::as_trace(trace, ran().plan.schedule), doctest::Contains("not of this schedule"), hw::ConfigError);
  trace.ops.pop_back();
  CHECK_THROWS_AS((void)validation::as_trace(trace, ran().plan.schedule), hw::ConfigError);
}

TEST_CASE("a measured report says so, divides the step as a forecast does, and gives no peak of GPUs that it did not run on") {
  const auto& r = ran();
  const auto median = validation::median_step(r.experiment, validation::plan(r.experiment), r.run);
  const validation::Measurement measurement{"host", r.options, r.run, {}, false};
  const auto report = validation::summarize(r.experiment, median, measurement);
  CHECK(report.source == "measured");
  CHECK(report.mfu == 0);
  CHECK(report.floors.step_over_floor == 1.0);
  CHECK((report.time.compute_busy + report.time.communication_exposed + report.time.idle).value() == doctest::Approx(report.step.value()));
  CHECK(report.tokens_per_second == doctest::Approx(static_cast<double>(r.plan.schedule.tokens) / report.step.value()));
  Seconds busy;
  for (const auto& op : report.ops) {
    busy += op.busy;
    REQUIRE(op.each);
    CHECK(op.each->p10 <= op.each->median);
    CHECK(op.each->median <= op.each->p90);
    CHECK(op.each->median > Seconds(0));
  }
  CHECK(busy.value() == doctest::Approx(report.time.compute_busy.value()));
  CHECK(validation::to_json(report).find("\"source\": \"measured\"") != std::string::npos);
}

}  // namespace fabricast::measured_trace_test
