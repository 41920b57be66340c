#include "validation/error_bars.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "strategies/ir/split_mix.hpp"
#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"
#include "validation/experiment.hpp"
#include "validation/forecast.hpp"

namespace fabricast::error_bars_test {

using namespace fabricast;
using namespace fabricast::tests;
using namespace fabricast::validation;
using hw::Precision;

namespace {

RatioInterval ratio(double low, double high, const std::string& kind) { return {low, high, kind, {}}; }

double uniform(ir::SplitMix64& random) { return static_cast<double>(random.next() >> 11) * 0x1p-53; }

hw::CalibratedKind gemm_record(const std::string& kind = "gemm bf16") {
  hw::CalibratedKind record;
  record.kind = kind;
  record.count = 120;
  record.domain = {{"rows", {1, 8192}}, {"n", {512, 16384}}, {"k", {512, 16384}}};
  record.regions = {{1, 64, 60, 0.8, 1.3}, {128, 8192, 60, 0.95, 1.05}};
  return record;
}

hw::Kernel gemm(std::int64_t m, std::int64_t n, std::int64_t k, Precision precision = Precision::bf16) {
  return hw::Gemm<std::int64_t>{m, n, k, precision};
}

}  // namespace

// Kinds err independently: 3 s ± 10 % and 4 s ± 10 % give 7 ± sqrt(0.3² + 0.4²) = 7 ± 0.5.
TEST_CASE("half-widths of different kinds add in quadrature") {
  const StepErrorBar bar = step_error_bar(Seconds(7), {{"a", Seconds(3), ratio(0.9, 1.1, "x")}, {"b", Seconds(4), ratio(0.9, 1.1, "y")}});
  CHECK(bar.low.value() == doctest::Approx(6.5));
  CHECK(bar.high.value() == doctest::Approx(7.5));
  CHECK(bar.known_share == 1.0);
}

TEST_CASE("a collective has the interval of its kind, and says for how much of what was left out it held") {
  hw::CalibratedKind kind;
  kind.kind = "all_reduce";
  kind.domain = {{"bytes", {4096, 1e9}}, {"members", {2, 8}}};
  kind.regions = {{4096, 1e9, 60, 0.9, 1.1}};
  hw::CalibrationRecord record;
  for (const double coverage : {0.7, 0.8}) {
    CAPTURE(coverage);
    kind.coverage = coverage;
    record.kinds = {kind};
    CHECK(ratio_interval(record, "all_reduce", 1e6, 8)->coverage == coverage);
    CHECK_FALSE(ratio_interval(record, "all_gather", 1e6, 8).has_value());
  }
  CHECK(ratio_interval(record, "all_reduce", 1e6, 16)->outside == std::vector<std::string>{"members = 16, fitted up to 8"});
}

TEST_CASE("constants of another chip are extrapolated, wherever the work lies") {
  hw::CalibratedKind kind = gemm_record();
  kind.measured_on = "h100_sxm_80gb";
  const auto ratio_here = ratio_interval(hw::CalibrationRecord{{kind}, {}}, gemm(1024, 4096, 4096));
  REQUIRE(ratio_here.has_value());
  CHECK(ratio_here->outside == std::vector<std::string>{"measured on h100_sxm_80gb"});
}

// One kind errs alike everywhere: 3 and 4 s ± 10 % give 7 ± 0.7.
TEST_CASE("half-widths of one kind add as they are") {
  const StepErrorBar bar = step_error_bar(Seconds(7), {{"a", Seconds(3), ratio(0.9, 1.1, "x")}, {"b", Seconds(4), ratio(0.9, 1.1, "x")}});
  CHECK(bar.low.value() == doctest::Approx(6.3));
  CHECK(bar.high.value() == doctest::Approx(7.7));
}

// 10 s whose ratio lies in 1.0 … 1.2: a middle of 11 s.
TEST_CASE("a kind that is measured longer than predicted moves the middle of the step's interval") {
  const StepErrorBar bar = step_error_bar(Seconds(20), {{"a", Seconds(10), ratio(1.0, 1.2, "x")}, {"b", Seconds(10), std::nullopt}});
  CHECK(bar.low.value() == doctest::Approx(20));
  CHECK(bar.high.value() == doctest::Approx(22));
  CHECK(bar.known_share == 0.5);
  CHECK(bar.unknown == std::vector<std::string>{"b"});
}

// Ratios uniform in 1 ± w have their 80 % interval at 1 ± 0.8·w. Three kinds of unlike weight: 2000 steps, so 80 % ± 1.8 %.
TEST_CASE("four in five steps lie inside when each kind's ratio is drawn from its own distribution") {
  const std::vector<double> seconds{5, 2, 1}, widths{0.1, 0.4, 0.6};
  std::vector<PathShare> path;
  for (std::size_t i = 0; i < 3; ++i) path.push_back({"", Seconds(seconds[i]), ratio(1 - 0.8 * widths[i], 1 + 0.8 * widths[i], std::to_string(i))});
  const StepErrorBar bar = step_error_bar(Seconds(8), path);
  ir::SplitMix64 random(1);
  int inside = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    Seconds step;
    for (std::size_t i = 0; i < 3; ++i) step += Seconds(seconds[i] * (1 + widths[i] * (2 * uniform(random) - 1)));
    inside += step >= bar.low && step <= bar.high ? 1 : 0;
  }
  CHECK(inside / 2000.0 == doctest::Approx(0.8).epsilon(0.04));
}

TEST_CASE("a kernel takes the interval of the nearest region, and says where it leaves the domain") {
  hw::CalibrationRecord record;
  record.kinds.push_back(gemm_record());
  const auto inside = ratio_interval(record, gemm(4096, 8192, 4096));
  REQUIRE(inside);
  CHECK(inside->low == 0.95);
  CHECK(inside->outside.empty());
  CHECK(ratio_interval(record, gemm(16, 8192, 4096))->high == 1.3);
  const auto outside = ratio_interval(record, gemm(20000, 51200, 256));
  CHECK(outside->high == 1.05);
  CHECK(outside->outside == std::vector<std::string>{"k = 256, fitted from 512", "n = 51200, fitted up to 16384", "rows = 20000, fitted up to 8192"});
}

TEST_CASE("an interval says how many left-out rows it held, and nothing where none were left out") {
  hw::CalibrationRecord record;
  record.kinds.push_back(gemm_record());
  record.kinds[0].coverage = 0.55;
  CHECK(ratio_interval(record, gemm(64, 512, 512))->coverage == 0.55);
  record.kinds[0].held_out = false;
  CHECK_FALSE(ratio_interval(record, gemm(64, 512, 512))->coverage.has_value());
}

TEST_CASE("what was not measured itself is judged by its like, and by nothing where there is none") {
  hw::CalibrationRecord record;
  record.kinds = {gemm_record("gemm fp16"), gemm_record("moe layer bf16 balanced")};
  CHECK(ratio_interval(record, gemm(64, 512, 512))->calibrated_as == "gemm fp16");
  CHECK(ratio_interval(record, hw::GroupedGemm<hw::ExpertRowCounts>{{64, 64}, 512, 512, Precision::bf16})->calibrated_as == "moe layer bf16 balanced");
  CHECK(ratio_interval(record, hw::Permute<std::int64_t>{64, 512, Precision::bf16})->calibrated_as == "moe layer bf16 balanced");
  CHECK_FALSE(ratio_interval(record, gemm(64, 512, 512, Precision::fp32)));
  CHECK_FALSE(ratio_interval(record, hw::RmsNorm<std::int64_t>{64, 512, Precision::bf16}));
}

TEST_CASE("a report has error bars where its profile has a record, and says of what it knows none") {
  const TemporaryFolder folder("error_bars");
  Experiment experiment = load_experiment(folder.write("experiment.json", small_experiment()));
  CHECK_FALSE(summarize(experiment, forecast(experiment, {}), sim::Fidelity::flow).error_bar);

  experiment.cluster.gpu.calibration.kinds = {gemm_record()};
  const Report report = summarize(experiment, forecast(experiment, {}), sim::Fidelity::flow);
  REQUIRE(report.error_bar);
  CHECK(report.error_bar->low < report.step);
  CHECK(report.error_bar->high > report.step);
  CHECK(report.error_bar->known_share > 0);
  CHECK(report.error_bar->known_share < 1);
  CHECK_FALSE(report.error_bar->extrapolated.empty());   // the small model is 64 wide, the record begins at 512
  for (const OpSummary& op : report.ops) {
    CHECK(op.error_bar.has_value() == (op.kind == "gemm"));
    if (op.error_bar) CHECK(op.error_bar->low <= op.error_bar->high);
  }
}

}  // namespace fabricast::error_bars_test
