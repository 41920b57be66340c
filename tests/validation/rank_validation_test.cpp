#include "validation/rank_validation.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "hardware_models/config_error.hpp"
#include "validation/forecast.hpp"

namespace fabricast::rank_validation_test {

using namespace validation;

Forecast small_forecast() {
  return forecast(load_experiment(std::filesystem::path(FABRICAST_SOURCE_DIR) / "configs/experiments/mixtral_8x7b_ep8.json"), {.interference = false});
}

/// The rank's ops as they were predicted, those of one label `factor` times as long, and communication as a slice leaves it: no time at all.
MeasuredTrace slice_of(const Forecast& base, const ir::Trace& predicted, Rank rank, const std::string& label, double factor) {
  MeasuredTrace trace;
  trace.header.experiment = "made up";
  trace.header.backend = "cuda slice";
  trace.header.ranks = static_cast<std::int64_t>(base.schedule.ranks.size());
  const auto& ops = base.schedule.program_of(rank).ops;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const ir::OpIndex op{static_cast<std::int32_t>(i)};
    const std::string name = base.schedule.label(ops[i].label);
    Seconds time = to_seconds(predicted.at(rank, op).end - predicted.at(rank, op).start);
    if (ir::communicates(ops[i].work)) time = Seconds(0);
    if (name == label) time = time * factor;
    trace.ops.push_back({rank, op, name, std::string(ir::kind_of(ops[i].work)), {}, {time, time, time}});
  }
  return trace;
}

TEST_CASE("of a slice the class that takes twice as long as predicted has all of the error, whatever communication takes") {
  const Forecast base = small_forecast();
  const ir::Trace predicted = ir::of_each_rank(base.result.trace);
  const Rank rank{5};
  const MeasuredTrace slice = slice_of(base, predicted, rank, "expert_down", 2.0);
  REQUIRE(only_rank(slice) == rank);
  const RankValidation result = validate_rank(base.schedule, predicted, slice, rank);
  Seconds sum;
  bool seen = false;
  for (const RankClass& one : result.classes) {
    CAPTURE(one.label);
    CHECK(one.kind != "all_to_all");
    const bool wrong = one.label == "expert_down";
    seen = seen || wrong;
    CHECK(one.error == (wrong ? doctest::Approx(-0.5) : doctest::Approx(0)));
    CHECK(one.op_error == (wrong ? doctest::Approx(0.5) : doctest::Approx(0)));
    sum += one.measured - one.predicted;
  }
  CHECK(seen);
  CHECK(sum.value() == doctest::Approx((result.all.measured - result.all.predicted).value()));
  CHECK(result.all.op_error == doctest::Approx(sum / result.all.measured));
}

TEST_CASE("a slice of another schedule, or one that lacks an op, is refused by its op") {
  const Forecast base = small_forecast();
  const ir::Trace predicted = ir::of_each_rank(base.result.trace);
  MeasuredTrace slice = slice_of(base, predicted, Rank{0}, "", 1.0);
  slice.ops.pop_back();
  CHECK_THROWS_AS((void)validate_rank(base.schedule, predicted, slice, Rank{0}), hw::ConfigError);
  slice = slice_of(base, predicted, Rank{0}, "", 1.0);
  slice.ops[3].label = "another";
  CHECK_THROWS_AS((void)validate_rank(base.schedule, predicted, slice, Rank{0}), hw::ConfigError);
  for (MeasuredOp& op : slice.ops) op.rank = Rank{1000};
  CHECK_THROWS_AS((void)validate_rank(base.schedule, predicted, slice, Rank{1000}), hw::ConfigError);
}

TEST_CASE("a trace of all ranks, or of the only one, is a whole step") {
  const Forecast base = small_forecast();
  const ir::Trace predicted = ir::of_each_rank(base.result.trace);
  MeasuredTrace trace = slice_of(base, predicted, Rank{0}, "", 1.0);
  trace.ops.front().rank = Rank{1};
  CHECK_FALSE(only_rank(trace).has_value());
  trace = slice_of(base, predicted, Rank{0}, "", 1.0);
  trace.header.ranks = 1;
  CHECK_FALSE(only_rank(trace).has_value());
}

}  // namespace fabricast::rank_validation_test
