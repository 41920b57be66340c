#include "validation/trace_validation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "tests/validation/observed_step.hpp"
#include "validation/forecast.hpp"
#include "validation/op_classes.hpp"
#include "validation/replay.hpp"

namespace fabricast::trace_validation_test {

using namespace validation;

Forecast forecast_of(const std::string& name) {
  Forecast result = forecast(load_experiment(std::filesystem::path(FABRICAST_SOURCE_DIR) / "configs/experiments" / (name + ".json")), {});
  result.result = sim::of_each_rank(std::move(result.result), result.instances);
  return result;
}

/// The forecast's durations, those of one label times `factor`.
Durations scaled(const Forecast& base, const std::string& label, std::int64_t factor) {
  Durations durations = durations_of(base.result.trace);
  for (std::size_t r = 0; r < durations.size(); ++r) {
    const auto& ops = base.schedule.program_of(Rank{static_cast<std::int32_t>(r)}).ops;
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (base.schedule.label(ops[i].label) == label) durations[r][i] = durations[r][i] * factor;
    }
  }
  return durations;
}

bool same(const ir::Trace& a, const ir::Trace& b) {
  const auto equal = [](const ir::OpInterval& x, const ir::OpInterval& y) { return x.issued == y.issued && x.start == y.start && x.end == y.end; };
  return std::equal(a.ops.begin(), a.ops.end(), b.ops.begin(), b.ops.end(),
                    [&](const auto& x, const auto& y) { return std::equal(x.begin(), x.end(), y.begin(), y.end(), equal); });
}

TEST_CASE("a forecast replayed with its own durations is the forecast, to the picosecond") {
  for (const char* name : {"mixtral_8x7b_ep8", "ep64_tp2_tiny", "baseline_tp8_pp2"}) {
    const Forecast base = forecast_of(name);
    CHECK(same(replay(base.schedule, base.instances, durations_of(base.result.trace)), base.result.trace));
  }
}

TEST_CASE("where one class is wrong by a factor, it alone has the error, and making it exact leaves none") {
  const Forecast base = forecast_of("mixtral_8x7b_ep8");
  const ir::Trace measured = replay(base.schedule, base.instances, scaled(base, "expert_gate_up", 2));
  const TraceValidation result = validate_trace(base.schedule, base.instances, base.result.trace, measured);
  CHECK(result.comparison.step_error < -0.1);
  CHECK(result.unexplained_error == 0);
  for (const ClassValidation& one : result.classes) {
    CAPTURE(one.busy.label);
    const bool wrong = one.busy.label == "expert_gate_up";
    CHECK(one.busy.error == (wrong ? doctest::Approx(-0.5) : doctest::Approx(0)));
    CHECK(one.remaining_error == (wrong ? doctest::Approx(0) : doctest::Approx(result.comparison.step_error)));
  }
}

// predicted - measured: Σ classes + idle = step
TEST_CASE("contributions of classes and idle sum to the error of the step") {
  const Forecast base = forecast_of("baseline_tp8_pp2");
  const ir::Trace measured = replay(base.schedule, base.instances, scaled(base, "attention_all_gather", 3));
  const TraceValidation result = validate_trace(base.schedule, base.instances, base.result.trace, measured);
  double sum = (result.predicted_idle - result.measured_idle).value();
  for (const ClassValidation& one : result.classes) sum += (one.predicted - one.measured).value();
  CHECK(sum == doctest::Approx((result.comparison.predicted_step - result.comparison.measured_step).value()).epsilon(1e-9));
}

// Two ops of 4 measured with 2 between them: 8 of 10 are explained by the ops.
TEST_CASE("time between ops that no op explains is what is left when all are exact") {
  ir::Schedule schedule = tests::tensor_group(1);
  tests::add_gemm(schedule, 1, 1, 1);
  tests::add_gemm(schedule, 1, 1, 1);
  const ir::Trace predicted{{{{SimTime(0), SimTime(0), SimTime(4)}, {SimTime(4), SimTime(4), SimTime(8)}}}};
  const ir::Trace measured{{{{SimTime(0), SimTime(0), SimTime(4)}, {SimTime(6), SimTime(6), SimTime(10)}}}};
  CHECK(validate_trace(schedule, ir::match_instances(schedule), predicted, measured).unexplained_error == doctest::Approx(-0.2));
}

}  // namespace fabricast::trace_validation_test
