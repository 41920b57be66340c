// From micro-benchmarks to a profile: the usual shapes of a GPU, timed by a known chip, written, read and fitted.
#include "validation/bench_json.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "hardware_models/gpu_config.hpp"
#include "hardware_models/gpu_cost.hpp"
#include "hardware_models/json_reader.hpp"
#include "runtime/bench_plan.hpp"
#include "strategies/ir/split_mix.hpp"
#include "validation/calibrate_gpu.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::bench_fit_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

runtime::Spread spread(Seconds median) { return {0.98 * median, median, 1.03 * median}; }

/// What the chip would have measured, each time off by up to 3 %.
runtime::BenchResults measured_by(const hw::GpuSpec& chip) {
  const hw::GpuCostModel model(chip, hw::Duty::alone);
  ir::SplitMix64 random(11);
  runtime::BenchResults results;
  results.machine.device = chip.name;
  results.repetitions = 20;
  results.method = "CUDA events";
  for (const hw::Kernel& kernel : runtime::device_bench_plan(1, hw::Precision::bf16).kernels) {
    const double noise = 1.0 + 0.06 * (static_cast<double>(random.next() >> 11U) * 0x1p-53 - 0.5);
    results.kernels.push_back({kernel, spread(noise * model.time(kernel)), {}});
  }
  results.launch = spread(chip.launch);
  return results;
}

}  // namespace

// Every constant that is wrong at first is found from the usual shapes well enough to forecast all of them.
TEST_CASE("the usual shapes of a GPU tell its profile: calibrate finds a chip from its own micro-benchmarks") {
  const hw::GpuSpec chip = hw::read_gpu(hw::parse_json_file(std::string(FABRICAST_SOURCE_DIR) + "/configs/gpus/h100_sxm_80gb.json"));
  hw::GpuSpec start = chip;
  start.launch = 2.0 * chip.launch;
  start.gemm.sustained = 0.8 * chip.gemm.sustained;
  start.attention.sustained = 0.7 * chip.attention.sustained;
  start.pass.rms_norm = 0.6 * chip.pass.rms_norm;
  const runtime::BenchResults results = measured_by(chip);
  const std::string json = to_json(results, "fabricast execute --microbench --backend cuda", "2026-11-27T00:00:00Z");
  const GpuCalibration fit = calibrate_gpu(start, read_measurements_json(hw::parse_json_text(json, "results")));
  CHECK(fit.gpu.launch == chip.launch);
  const hw::GpuCostModel truth(chip, hw::Duty::alone), found(fit.gpu, hw::Duty::alone), before(start, hw::Duty::alone);
  std::vector<double> errors, errors_before;
  for (const auto& [kernel, seconds, best] : results.kernels) {
    errors.push_back(std::abs(found.time(kernel) / truth.time(kernel) - 1.0));
    errors_before.push_back(std::abs(before.time(kernel) / truth.time(kernel) - 1.0));
  }
  const auto median = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  CHECK(median(errors_before) > 0.05);
  CHECK(median(errors) < 0.02);
  CHECK(*std::max_element(errors.begin(), errors.end()) < 0.15);
}

}  // namespace fabricast::bench_fit_test
