#include "runtime/measure.hpp"

#include <doctest/doctest.h>

namespace fabricast::measure_test {

using namespace fabricast;
using namespace fabricast::runtime;

namespace {

ir::Trace trace_ending_at(std::int64_t picoseconds) {
  ir::Trace trace;
  trace.ops = {{{SimTime{0}, SimTime{1}, SimTime{3}}, {SimTime{3}, SimTime{4}, SimTime{picoseconds}}}};
  return trace;
}

}  // namespace

TEST_CASE("nearest rank: of 1 … 10 the 10th, 50th and 90th percentile are 1, 5 and 9, order does not matter") {
  std::vector<Seconds> samples;
  for (const double s : {7., 3., 9., 1., 10., 2., 8., 4., 6., 5.}) samples.emplace_back(s);
  const Spread spread = spread_of(samples);
  CHECK(spread.p10 == Seconds(1));
  CHECK(spread.median == Seconds(5));
  CHECK(spread.p90 == Seconds(9));
}

TEST_CASE("of one sample, all percentiles are that sample") {
  const Spread spread = spread_of({Seconds(4)});
  CHECK(spread.p10 == Seconds(4));
  CHECK(spread.p90 == Seconds(4));
}

TEST_CASE("op spreads are of end - start, the median step is the one of median length, the lower of two") {
  MeasuredRun run;
  for (const std::int64_t end : {9, 5, 7, 6}) run.steps.push_back(trace_ending_at(end));
  const auto spreads = op_spreads(run.steps);
  CHECK(spreads[0][0].median == to_seconds(SimTime{2}));
  CHECK(spreads[0][1].median == to_seconds(SimTime{2}));  // of 5, 1, 3, 2
  CHECK(spreads[0][1].p90 == to_seconds(SimTime{5}));
  CHECK(length_of(run.median_step()) == to_seconds(SimTime{6}));
}

}  // namespace fabricast::measure_test
