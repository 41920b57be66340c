// Synthetic measurements from known constants, with noise and wild rows, are fitted: the constants must come back.
#include "validation/calibrate_gpu.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "hardware_models/config_error.hpp"
#include "hardware_models/gpu_cost.hpp"
#include "strategies/ir/split_mix.hpp"

namespace fabricast::calibrate_gpu_test {

using namespace fabricast;
using namespace fabricast::validation;
using hw::Precision;

constexpr double deviation_of_uniform = 0.28867513459481287;   // 1 / sqrt(12)

/// The chip that was measured.
hw::GpuSpec truth() {
  hw::GpuSpec gpu;
  gpu.name = "made_up";
  gpu.streaming_multiprocessors = 100;
  gpu.peak[static_cast<std::size_t>(Precision::bf16)] = FlopPerSecond(800e12);
  gpu.memory_bandwidth = BytesPerSecond(3e12);
  gpu.memory = Bytes(std::int64_t{80} << 30);
  gpu.launch = Seconds(2e-6);
  gpu.contention = 0.2;
  gpu.gemm = {Seconds(1e-6), 0.8, {}, 0.0, Seconds(1.0), 0.75, 100, 400, {{128, 256, 1.0}, {128, 128, 0.9}, {64, 64, 0.7}}};
  gpu.attention = {0.6, 128, 200, 40, 0.9};
  gpu.pass.rms_norm = 0.6;
  return gpu;
}

/// What the fit starts from: every constant wrong.
hw::GpuSpec start() {
  hw::GpuSpec gpu = truth();
  gpu.contention = 0.1;
  gpu.gemm.setup = Seconds(3e-6);
  gpu.gemm.sustained = 0.6;
  gpu.gemm.memory = 0.9;
  gpu.gemm.prologue_k = 40;
  gpu.gemm.split_k = 200;
  gpu.gemm.tiles[1].efficiency = gpu.gemm.tiles[2].efficiency = 0.8;
  gpu.attention.sustained = 0.8;
  gpu.attention.prologue_keys = 50;
  gpu.pass.rms_norm = 0.3;
  return gpu;
}

std::vector<hw::Kernel> shapes() {
  std::vector<hw::Kernel> kernels;
  for (const std::int64_t n : {512, 1536, 2560, 4096, 7168, 12288}) {
    for (const std::int64_t k : {512, 1024, 2048, 4096, 8192}) {
      for (const std::int64_t m : {1, 16, 64, 256, 512, 1024, 3000, 8192}) kernels.emplace_back(hw::Gemm<std::int64_t>{m, n, k, Precision::bf16});
    }
  }
  for (const std::int64_t heads : {8, 16, 24, 32, 48, 64}) {
    for (const std::int64_t length : {256, 512, 1024, 2048, 4096, 8192}) {
      kernels.emplace_back(hw::Attention<std::int64_t>{2, length, length, heads, heads / 8, 128, true, Precision::bf16});
    }
  }
  for (const std::int64_t width : {1024, 2048, 4096, 8192}) {
    for (const std::int64_t rows : {64, 1024, 8192, 65536}) kernels.emplace_back(hw::RmsNorm<std::int64_t>{rows, width, Precision::bf16});
  }
  return kernels;
}

/// Times of the true chip, each off by a factor whose logarithm has the deviation `noise`; every `wild`-th is ten times too long.
Measurements measured(double noise, int wild = 0) {
  Measurements result;
  const hw::GpuCostModel model(truth(), hw::Duty::alone);
  ir::SplitMix64 random(3);
  int i = 0;
  for (const hw::Kernel& kernel : shapes()) {
    const double uniform = static_cast<double>(random.next() >> 11) * 0x1p-53 - 0.5;
    double factor = std::exp(noise / deviation_of_uniform * uniform);
    if (wild > 0 && ++i % wild == 0) factor *= 10;
    result.kernels.push_back(single(kernel, model.time(kernel) * factor, {"made_up", i}));
  }
  return result;
}

const hw::CalibratedKind& record(const GpuCalibration& fit, const std::string& kind) {
  for (const hw::CalibratedKind& entry : fit.gpu.calibration.kinds) {
    if (entry.kind == kind) return entry;
  }
  FAIL("no record of " << kind);
  return fit.gpu.calibration.kinds.front();
}

void check_constants(const hw::GpuSpec& gpu, double relative) {
  const hw::GpuSpec real = truth();
  CHECK(gpu.gemm.sustained == doctest::Approx(real.gemm.sustained).epsilon(relative));
  CHECK(gpu.gemm.memory == doctest::Approx(real.gemm.memory).epsilon(relative));
  CHECK(gpu.gemm.setup.value() == doctest::Approx(real.gemm.setup.value()).epsilon(10 * relative));
  CHECK(static_cast<double>(gpu.gemm.prologue_k) == doctest::Approx(100.0).epsilon(10 * relative));
  CHECK(gpu.attention.sustained == doctest::Approx(real.attention.sustained).epsilon(relative));
  CHECK(static_cast<double>(gpu.attention.prologue_keys) == doctest::Approx(200.0).epsilon(5 * relative));
  CHECK(gpu.pass.rms_norm == doctest::Approx(real.pass.rms_norm).epsilon(relative));
}

TEST_CASE("what the cache holds, how fast it is and what a row takes come back from passes of many sizes") {
  hw::GpuSpec chip = truth(), base = truth();
  chip.pass.cache = base.pass.cache = hw::PassCache{Bytes(30'000'000), {}};
  chip.pass.cache->share.rms_norm = 0.9;
  chip.pass.row.rms_norm = BytesPerSecond(8e9);
  base.pass.rms_norm = 0.4;
  base.pass.cache->size = Bytes(50'000'000);
  base.pass.cache->share.rms_norm = 0.5;
  base.pass.row.rms_norm = BytesPerSecond(20e9);
  Measurements rows;
  const hw::GpuCostModel model(chip, hw::Duty::alone);
  ir::SplitMix64 random(5);
  int line = 0;
  for (std::int64_t tokens = 1; tokens <= 16384; tokens += 1 + tokens / 16) {
    const double uniform = static_cast<double>(random.next() >> 11) * 0x1p-53 - 0.5;
    const hw::Kernel norm = hw::RmsNorm<std::int64_t>{tokens, 8192, Precision::bf16};
    rows.kernels.push_back(single(norm, model.time(norm) * std::exp(0.03 / deviation_of_uniform * uniform), {"made_up", ++line}));
  }
  const hw::PassEfficiency pass = calibrate_gpu(base, rows).gpu.pass;
  CHECK(pass.rms_norm == doctest::Approx(0.6).epsilon(0.05));
  CHECK(pass.cache->share.rms_norm.value_or(0) == doctest::Approx(0.9).epsilon(0.05));
  CHECK(static_cast<double>(pass.cache->size.value()) == doctest::Approx(30e6).epsilon(0.1));
  CHECK(pass.row.rms_norm.value_or(BytesPerSecond(0)).value() == doctest::Approx(8e9).epsilon(0.05));
}

TEST_CASE("what decoding takes comes back, and rows that cannot have read their keys move nothing") {
  hw::GpuSpec chip = truth(), base = truth();
  chip.attention.decode = hw::DecodeEfficiency{Seconds(5e-6), Seconds(1.5e-6), 32, BytesPerSecond(20e9), Seconds(12e-6), BytesPerSecond(6e12)};
  base.attention.decode = hw::DecodeEfficiency{Seconds(2e-6), Seconds(3e-6), 32, BytesPerSecond(60e9), Seconds(4e-6), BytesPerSecond(2e12)};
  base.attention.memory = 0.7;
  const hw::GpuCostModel model(chip, hw::Duty::alone);
  Measurements rows;
  int line = 0;
  for (const auto& [heads, kv_heads] : {std::pair{8, 1}, std::pair{32, 8}, std::pair{8, 8}, std::pair{64, 1}, std::pair{32, 32}, std::pair{16, 4}}) {
    for (const std::int64_t sequences : {1, 8, 64, 512}) {
      for (const std::int64_t keys : {16, 128, 1024, 8192, 32768}) {
        const hw::Kernel decode = hw::Attention<std::int64_t>{sequences, 1, keys, heads, kv_heads, 128, false, Precision::bf16};
        const bool impossible = sequences == 512 && keys == 32768;
        rows.kernels.push_back(single(decode, impossible ? model.floor(decode) * 0.5 : model.time(decode), {"made_up", ++line}));
      }
    }
  }
  const hw::AttentionEfficiency fit = calibrate_gpu(base, rows).gpu.attention;
  CHECK(fit.memory == doctest::Approx(0.9).epsilon(0.01));
  CHECK(fit.decode->shared_block.value() == doctest::Approx(5e-6).epsilon(0.02));
  CHECK(fit.decode->single_block.value() == doctest::Approx(1.5e-6).epsilon(0.02));
  CHECK(fit.decode->fill.value() == doctest::Approx(12e-6).epsilon(0.05));
  CHECK(fit.decode->block_rate.value() == doctest::Approx(20e9).epsilon(0.05));
  CHECK(fit.decode->shared_reads.value() == doctest::Approx(6e12).epsilon(0.05));
}

TEST_CASE("kinds that only the base's record has are another chip's") {
  hw::GpuSpec base = start();
  base.calibration = calibrate_gpu(start(), measured(0.03)).gpu.calibration;
  Measurements norms = measured(0.03);
  std::erase_if(norms.kernels, [](const KernelMeasurement& row) { return row.kind != "rms_norm bf16"; });
  const GpuCalibration other = calibrate_gpu(base, norms, "another"), same = calibrate_gpu(base, norms);
  CHECK(record(other, "gemm bf16").measured_on == std::optional<std::string>("made_up"));
  CHECK_FALSE(record(other, "rms_norm bf16").measured_on.has_value());
  CHECK_FALSE(record(same, "gemm bf16").measured_on.has_value());
}

TEST_CASE("constants come back within the noise, and what they miss is the noise") {
  const GpuCalibration fit = calibrate_gpu(start(), measured(0.03));
  check_constants(fit.gpu, 0.02);
  // Median of |x| for x uniform with deviation 3 %: 0.03·sqrt(12)/4 = 2.6 %.
  CHECK(record(fit, "gemm bf16").median_error == doctest::Approx(0.026).epsilon(0.2));
  CHECK(record(fit, "attention prefill bf16").median_error == doctest::Approx(0.026).epsilon(0.5));
  CHECK(std::abs(record(fit, "gemm bf16").bias) < 0.01);
}

TEST_CASE("one time in twelve being ten times too long moves no constant beyond the noise") {
  const GpuCalibration fit = calibrate_gpu(start(), measured(0.03, 12));
  check_constants(fit.gpu, 0.03);
}

TEST_CASE("intervals hold for about four in five rows of families that the fit had not seen") {
  const GpuCalibration fit = calibrate_gpu(start(), measured(0.05));
  CHECK(record(fit, "gemm bf16").coverage == doctest::Approx(0.8).epsilon(0.1));
  CHECK(record(fit, "gemm bf16").families == 30);
  CHECK(record(fit, "gemm bf16").held_out);
}

TEST_CASE("a row is predicted without its family: one family that behaves unlike the others is seen to be missed") {
  Measurements odd = measured(0.0);
  for (KernelMeasurement& row : odd.kernels) {
    if (row.family == "n=4096 k=2048") row.seconds = row.seconds * 1.5;
  }
  const GpuCalibration fit = calibrate_gpu(start(), odd);
  for (const AgreementRow& row : fit.held_out) {
    if (row.family == "n=4096 k=2048") CHECK(row.predicted / row.measured == doctest::Approx(1 / 1.5).epsilon(0.05));
  }
}

TEST_CASE("few rows move the first constants only, and say so of the others") {
  Measurements few;
  const Measurements all = measured(0.0);
  for (std::size_t i = 5; i < 240; i += 15) few.kernels.push_back(all.kernels[i]);   // sixteen GEMMs
  const GpuCalibration fit = calibrate_gpu(start(), few);
  CHECK(fit.constants.size() <= 2);
  CHECK(fit.gpu.gemm.split_k == start().gemm.split_k);
  CHECK(fit.gpu.attention.sustained == start().attention.sustained);
}

TEST_CASE("passes that read from the cache, faster than the memory, do not move its share") {
  Measurements cached;
  for (const KernelMeasurement& row : measured(0.0).kernels) {
    if (row.kind == "rms_norm bf16") cached.kernels.push_back(row);
  }
  for (KernelMeasurement& row : cached.kernels) row.seconds = row.seconds / 4;   // at 4 · 0.6 of the bandwidth
  const GpuCalibration fit = calibrate_gpu(start(), cached);
  CHECK(fit.gpu.pass.rms_norm == start().pass.rms_norm);
  REQUIRE(fit.constants.size() == 1);
  CHECK_FALSE(fit.constants[0].determined);
}

// One shape: three constants move its time alike, and no more than one can be told.
TEST_CASE("rows of a single shape fit the first constant alone, and are met by it") {
  const hw::Kernel kernel = hw::Gemm<std::int64_t>{4096, 4096, 4096, Precision::bf16};
  const Seconds time = hw::GpuCostModel(truth(), hw::Duty::alone).time(kernel);
  Measurements rows;
  for (int i = 0; i < 24; ++i) rows.kernels.push_back(single(kernel, time, {"made_up", i}));
  const GpuCalibration fit = calibrate_gpu(start(), rows);
  CHECK(hw::GpuCostModel(fit.gpu, hw::Duty::alone).time(kernel) / time == doctest::Approx(1.0).epsilon(1e-3));
  CHECK(fit.gpu.gemm.setup == start().gemm.setup);
  CHECK(std::count_if(fit.constants.begin(), fit.constants.end(), [](const FittedConstant& c) { return c.pointer == "/gemm/sustained"; }) == 1);
}

// 20 of 100 SMs held: a large product takes 1 / 0.8 as long. Half the memory bandwidth drawn: a pass takes twice as long.
/// Layers of 8 to 64 experts on the true chip, beside which the source's kernels take 12 us and 0.3 us for each expert. Of every family a fifth
/// ran an untuned kernel, four times as long.
Measurements measured_layers(const hw::GpuSpec& chip) {
  const hw::GpuCostModel model(chip, hw::Duty::alone);
  Measurements result;
  for (const std::int64_t hidden : {1024, 2048, 3072, 4096, 5120, 7168}) {
    for (const std::int64_t experts : {8, 16, 64}) {
      for (const std::int64_t rows : {1, 8, 40, 100, 300, 700, 1000, 3000, 9000, 20000}) {
        KernelMeasurement layer;
        layer.kind = "moe layer bf16 balanced";
        layer.family = "hidden=" + std::to_string(hidden);
        const hw::ExpertRowCounts even(static_cast<std::size_t>(experts), std::max<std::int64_t>(rows / experts, 1));
        layer.terms = {{hw::Permute<std::int64_t>{rows, hidden, Precision::bf16}, 1.0},
                       {hw::GroupedGemm<hw::ExpertRowCounts>{even, 2048, hidden, Precision::bf16}, 1.0},
                       {hw::GroupedGemm<hw::ExpertRowCounts>{even, hidden, 1024, Precision::bf16}, 1.0}};
        layer.costs = {{"all"}, {"each expert", static_cast<double>(experts)}};
        layer.seconds = Seconds(12e-6) + Seconds(0.3e-6) * static_cast<double>(experts);
        for (const Term& term : layer.terms) layer.seconds += model.time(term.kernel) * term.times;
        if (rows == 40 || rows == 1000) {
          layer.kind += shared_tuning;
          layer.seconds = layer.seconds * 4.0;
        }
        result.kernels.push_back(std::move(layer));
      }
    }
  }
  return result;
}

TEST_CASE("fused layers tell how grouped GEMMs run and what their own kernels cost, and those of shared tuning move nothing") {
  hw::GpuSpec chip = truth(), base = truth();
  chip.gemm.grouped = {0.9, BytesPerSecond(80e9), {{128, 128, 1.0}, {32, 128, 1.0}}};
  base.gemm.grouped = {0.6, BytesPerSecond(40e9), {{128, 128, 1.0}, {32, 128, 1.0}}};
  chip.pass.permute = chip.pass.weighted_sum = 0.5;
  const GpuCalibration fit = calibrate_gpu(base, measured_layers(chip));
  CHECK(fit.gpu.gemm.grouped->memory == doctest::Approx(0.9).epsilon(0.02));
  CHECK(fit.gpu.gemm.grouped->tile_load.value() == doctest::Approx(80e9).epsilon(0.05));
  CHECK(fit.gpu.pass.permute == doctest::Approx(0.5).epsilon(0.1));
  CHECK(fit.gpu.calibration.constants.at("all").value() == doctest::Approx(12e-6).epsilon(0.1));
  CHECK(fit.gpu.calibration.constants.at("each expert").value() == doctest::Approx(0.3e-6).epsilon(0.1));
  CHECK(record(fit, "moe layer bf16 balanced").median_error < 0.02);
  const std::string shared = std::string("moe layer bf16 balanced") + shared_tuning;
  CHECK(record(fit, shared).median_error == doctest::Approx(0.75).epsilon(0.05));
}

TEST_CASE("kernels beside communication are judged by their slowdown") {
  Measurements rows = measured(0.0);
  const hw::Kernel product = hw::Gemm<std::int64_t>{8192, 12288, 8192, Precision::bf16}, pass = hw::RmsNorm<std::int64_t>{65536, 8192, Precision::bf16};
  rows.interference.push_back({product, 20, BytesPerSecond(0), Seconds(1e-3), Seconds(1.25e-3), {"made_up", 1}});
  rows.interference.push_back({pass, 0, BytesPerSecond(0.5e12), Seconds(1e-3), Seconds(2e-3), {"made_up", 2}});
  rows.interference.push_back({pass, 0, BytesPerSecond(1.5e12), Seconds(1e-3), Seconds(2e-3), {"made_up", 3}, BytesPerSecond(1.5e12)});   // told
  const GpuCalibration fit = calibrate_gpu(truth(), rows);
  CHECK(record(fit, "beside communication: gemm bf16").worst_error < 0.03);
  CHECK(record(fit, "beside communication: rms_norm bf16").worst_error < 0.03);
  CHECK(record(fit, "gemm bf16").count == record(calibrate_gpu(truth(), measured(0.0)), "gemm bf16").count);
}

/// On the chip whose kernels lose 70 % of the SMs held and 1.4 times the traffic drawn: passes and products of several shapes, each beside four loads.
Measurements measured_beside(double noise) {
  hw::GpuSpec chip = truth();
  chip.interference = {0.7, 1.4};
  const hw::GpuCostModel model(chip, hw::Duty::alone);
  Measurements rows = measured(0.0);
  ir::SplitMix64 random(9);
  for (const std::int64_t size : {2048, 4096, 6144, 8192, 12288}) {
    const hw::Kernel product = hw::Gemm<std::int64_t>{8192, size, 8192, Precision::bf16}, pass = hw::RmsNorm<std::int64_t>{65536, size, Precision::bf16};
    for (const hw::Kernel& kernel : {product, pass}) {
      for (const auto& [sms, rate] : {std::pair{8, 0.2e12}, std::pair{20, 0.5e12}, std::pair{32, 0.3e12}, std::pair{16, 0.8e12}}) {
        const hw::GpuLoad load{sms, BytesPerSecond(rate)};
        const double uniform = static_cast<double>(random.next() >> 11) * 0x1p-53 - 0.5;
        rows.interference.push_back({kernel, sms, BytesPerSecond(rate), model.time(kernel),
                                     model.time(kernel, load) * std::exp(noise / deviation_of_uniform * uniform), {"made_up", 1}, BytesPerSecond(rate)});
      }
    }
  }
  return rows;
}

TEST_CASE("what communication takes from a kernel comes back, and is told apart from what it holds") {
  const GpuCalibration fit = calibrate_gpu(truth(), measured_beside(0.01));
  CHECK(fit.gpu.interference.sms == doctest::Approx(0.7).epsilon(0.1));
  CHECK(fit.gpu.interference.memory == doctest::Approx(1.4).epsilon(0.05));
  CHECK(record(fit, "beside communication: gemm bf16").median_error < 0.03);
  CHECK(record(fit, "beside communication: rms_norm bf16").median_error < 0.03);
  Measurements host = measured_beside(0.01);
  for (InterferenceMeasurement& row : host.interference) row.communication_sms = 0, row.memory.reset();
  const GpuCalibration judged = calibrate_gpu(truth(), host);
  CHECK(judged.gpu.interference.memory == 1.0);
  CHECK(record(judged, "beside communication: rms_norm bf16").count == 20);
}

TEST_CASE("one family cannot be held out, and the record says so") {
  Measurements one;
  for (const KernelMeasurement& row : measured(0.02).kernels) {
    if (row.family == "n=4096 k=4096") one.kernels.push_back(row);
  }
  CHECK_FALSE(record(calibrate_gpu(start(), one), "gemm bf16").held_out);
}

TEST_CASE("a measured launch is taken as it is, and fits nothing else") {
  Measurements launch;
  launch.launch = Seconds(3.5e-6);
  const GpuCalibration fit = calibrate_gpu(start(), launch);
  CHECK(fit.gpu.launch == Seconds(3.5e-6));
  CHECK(fit.gpu.gemm.sustained == start().gemm.sustained);
}

TEST_CASE("times in a wrong unit are refused in one line that names the first row") {
  for (const double slip : {1e-3, 1e3}) {
    Measurements wrong = measured(0.0);
    for (KernelMeasurement& row : wrong.kernels) row.seconds = row.seconds * slip;
    std::string message;
    try {
      (void)calibrate_gpu(start(), wrong);
    } catch (const hw::ConfigError& error) {
      message = error.what();
    }
    CHECK(message.find("made_up:0: ") != std::string::npos);
    CHECK(message.find("wrong unit") != std::string::npos);
  }
  CHECK_THROWS_AS(calibrate_gpu(start(), {}), hw::ConfigError);
}

}  // namespace fabricast::calibrate_gpu_test
