#include "validation/trace_comparison.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/validation/observed_step.hpp"

namespace fabricast::trace_comparison_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

ir::Trace scaled(ir::Trace trace, std::int64_t factor) {
  for (auto& rank : trace.ops) {
    for (ir::OpInterval& op : rank) op = {op.issued * factor, op.start * factor, op.end * factor};
  }
  return trace;
}

}  // namespace

// predicted = k · measured: every error is k - 1.
TEST_CASE("a forecast that is wrong by a factor is wrong by it in every class and in the step") {
  ir::SplitMix64 random(17);
  const ir::Schedule schedule = tests::random_schedule(3, 40, random);
  const ir::Instances instances = ir::match_instances(schedule);
  const ir::Trace measured = tests::random_trace(schedule, 1'000'000, random);
  for (const std::int64_t factor : {1, 3}) {
    const TraceComparison comparison = compare_traces(schedule, instances, scaled(measured, factor), measured);
    CHECK(comparison.step_error == doctest::Approx(static_cast<double>(factor - 1)));
    CHECK(comparison.op_error == doctest::Approx(static_cast<double>(factor - 1)));
    CHECK(comparison.classes.size() == 4);
    for (const ClassComparison& one : comparison.classes) {
      CHECK(one.error == doctest::Approx(static_cast<double>(factor - 1)));
      CHECK(tests::picoseconds(one.predicted) == doctest::Approx(tests::picoseconds(one.measured * static_cast<double>(factor))));
    }
  }
}

// Durations 4 and 6 against 6 and 4: the step and the class are right, yet |−2| + |2| of 10 is wrong.
TEST_CASE("errors that cancel in the step show op by op") {
  ir::Schedule schedule = tests::tensor_group(1);
  tests::add_gemm(schedule, 1, 1, 1);
  tests::add_gemm(schedule, 1, 1, 1);
  const ir::Trace predicted{{{{SimTime(0), SimTime(0), SimTime(4)}, {SimTime(4), SimTime(4), SimTime(10)}}}};
  const ir::Trace measured{{{{SimTime(0), SimTime(0), SimTime(6)}, {SimTime(6), SimTime(6), SimTime(10)}}}};
  const TraceComparison comparison = compare_traces(schedule, ir::match_instances(schedule), predicted, measured);
  CHECK(comparison.step_error == 0);
  CHECK(comparison.classes.at(0).error == 0);
  CHECK(comparison.op_error == doctest::Approx(0.4));
}

TEST_CASE("a trace of another schedule is refused") {
  ir::Schedule schedule = tests::tensor_group(2);
  tests::add_gemm(schedule, 1, 1, 1);
  const ir::Instances instances = ir::match_instances(schedule);
  ir::SplitMix64 random(1);
  const ir::Trace trace = tests::random_trace(schedule, 100, random);
  ir::Trace shorter = trace, fewer = trace;
  shorter.ops[1].pop_back();
  fewer.ops.pop_back();
  CHECK_THROWS_AS((void)compare_traces(schedule, instances, shorter, trace), std::invalid_argument);
  CHECK_THROWS_AS((void)compare_traces(schedule, instances, trace, fewer), std::invalid_argument);
}

}  // namespace fabricast::trace_comparison_test
