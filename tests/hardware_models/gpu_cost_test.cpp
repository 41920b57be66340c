#include "hardware_models/gpu_cost.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "hardware_models/config_error.hpp"
#include "hardware_models/gpu_config.hpp"

namespace fabricast::gpu_cost_test {

using namespace fabricast;
using namespace fabricast::hw;

namespace {

constexpr Precision bf16 = Precision::bf16;

GpuSpec shipped(const std::string& name) {
  return read_gpu(parse_json_file(std::string(FABRICAST_SOURCE_DIR) + "/configs/gpus/" + name + ".json"));
}

/// 10 SMs of 1 TFLOP/s each, one tile of 64 x 32, memory too fast to matter, no overheads.
GpuSpec plain_gpu() {
  GpuSpec gpu;
  gpu.name = "plain";
  gpu.streaming_multiprocessors = 10;
  gpu.peak[static_cast<std::size_t>(bf16)] = FlopPerSecond(10e12);
  gpu.memory_bandwidth = BytesPerSecond(1e18);
  gpu.gemm.tiles = {{64, 32, 1.0}};
  gpu.gemm.burst = Seconds(1);
  gpu.gemm.split_k = 1 << 20;
  return gpu;
}

double time_of(const GpuSpec& gpu, const Kernel& kernel) { return GpuCostModel(gpu).time(kernel).value(); }

/// Marsaglia's xorshift: shapes need spread, not quality.
class Shapes {
 public:
  std::int64_t upto(std::int64_t most) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return 1 + static_cast<std::int64_t>(state_ % static_cast<std::uint64_t>(most));
  }
  /// Small values as likely as large ones.
  std::int64_t size(int most_bits) { return upto(std::int64_t{1} << upto(most_bits)); }

  Kernel kernel() {
    switch (upto(11)) {
      case 1: return Gemm<std::int64_t>{size(16), size(14), size(14), bf16};
      case 2: return GroupedGemm<ExpertRowCounts>{{size(12) - 1, size(12) - 1, size(14) - 1}, size(13), size(13), bf16, upto(3) == 1 ? 0 : size(10)};
      case 3: {
        const std::int64_t queries = size(13);
        return Attention<std::int64_t>{size(5), queries, queries, 4 * size(3), 4, 64 * upto(2), upto(2) == 1, bf16};
      }
      case 4: return Attention<std::int64_t>{size(8), 1, size(16), 32, 8, 128, true, bf16};
      case 5: return Embedding<std::int64_t>{size(16), size(13), size(17), bf16};
      case 6: return RmsNorm<std::int64_t>{size(16), size(13), bf16};
      case 7: return Rope<std::int64_t>{size(16), size(13), bf16};
      case 8: return Activation<std::int64_t>{size(16), size(13), upto(2) == 1, bf16};
      case 9: return Router<std::int64_t>{size(16), size(13), size(8), upto(8), bf16};
      case 10: return Permute<std::int64_t>{size(16), size(13), bf16};
      default: return WeightedSum<std::int64_t>{size(14), size(16), size(13), bf16};
    }
  }

 private:
  std::uint64_t state_ = 88172645463325252ULL;
};

}  // namespace

// One tile of 64 x 32 over k = 1000 on an SM of 1 TFLOP/s: 2·64·32·1000 / 1e12 = 4.096 us.
TEST_CASE("ten tiles on ten SMs are one wave, the eleventh starts the next") {
  const double wave = 4.096e-6;
  CHECK(time_of(plain_gpu(), Gemm<std::int64_t>{64, 32, 1000, bf16}) == doctest::Approx(wave).epsilon(1e-12));
  CHECK(time_of(plain_gpu(), Gemm<std::int64_t>{640, 32, 1000, bf16}) == doctest::Approx(wave).epsilon(1e-12));
  CHECK(time_of(plain_gpu(), Gemm<std::int64_t>{641, 32, 1000, bf16}) == doctest::Approx(2 * wave).epsilon(1e-12));
  CHECK(time_of(plain_gpu(), Gemm<std::int64_t>{320, 65, 1000, bf16}) == doctest::Approx(2 * wave).epsilon(1e-12));
}

// Ten tiles on the SMs that are left: 10 - 5 take two waves, 10 - 9 ten; one SM is always left.
TEST_CASE("beside a communication kernel tiles run on the SMs that it leaves") {
  const double wave = 4.096e-6;
  const GpuCostModel model(plain_gpu());
  const auto beside = [&](std::int64_t held) { return model.time(Gemm<std::int64_t>{640, 32, 1000, bf16}, {held, {}}).value(); };
  CHECK(beside(0) == doctest::Approx(wave).epsilon(1e-12));
  CHECK(beside(5) == doctest::Approx(2 * wave).epsilon(1e-12));
  CHECK(beside(9) == doctest::Approx(10 * wave).epsilon(1e-12));
  CHECK(beside(200) == doctest::Approx(10 * wave).epsilon(1e-12));
}

// traffic / (bandwidth − held), and never less than half the bandwidth.
TEST_CASE("beside a communication kernel a pass runs on the memory bandwidth that it leaves") {
  GpuSpec gpu = plain_gpu();
  gpu.memory_bandwidth = BytesPerSecond(1e12);
  const GpuCostModel model(gpu);
  const auto beside = [&](double held) { return model.time(RmsNorm<std::int64_t>{1'000'000, 8, bf16}, {5, BytesPerSecond(held)}).value(); };
  const double alone = model.time(RmsNorm<std::int64_t>{1'000'000, 8, bf16}).value();
  CHECK(beside(0.0) == doctest::Approx(alone).epsilon(1e-12));
  CHECK(beside(0.2e12) == doctest::Approx(alone / 0.8).epsilon(1e-12));
  CHECK(beside(0.9e12) == doctest::Approx(alone / 0.5).epsilon(1e-12));
}

// Half of 8 held SMs are lost, of ten: ten tiles on six take two waves. Of 1 TB/s 1.5 times the 0.2 drawn are lost, and half at the most.
TEST_CASE("a kernel loses the measured share of what communication holds and draws") {
  GpuSpec gpu = plain_gpu();
  gpu.interference = {0.5, 1.5};
  gpu.memory_bandwidth = BytesPerSecond(1e12);
  const GpuCostModel model(gpu);
  const Kernel product = Gemm<std::int64_t>{640, 32, 1000, bf16}, pass = RmsNorm<std::int64_t>{1'000'000, 8, bf16};
  CHECK(model.time(product, {8, {}}) / model.time(product) == doctest::Approx(2.0));
  CHECK(model.time(pass, {0, BytesPerSecond(0.2e12)}) / model.time(pass) == doctest::Approx(1 / 0.7));
  CHECK(model.time(pass, {0, BytesPerSecond(0.5e12)}) / model.time(pass) == doctest::Approx(2.0));
}

TEST_CASE("no kernel gets faster when more of its GPU is held") {
  const GpuCostModel model(shipped("h100_sxm_80gb"));
  Shapes shapes;
  for (int i = 0; i < 2000; ++i) {
    const Kernel kernel = shapes.kernel();
    const GpuLoad less{shapes.upto(60) - 1, BytesPerSecond(1e9 * static_cast<double>(shapes.upto(1500) - 1))};
    const GpuLoad more{less.streaming_multiprocessors + shapes.upto(60) - 1,
                       less.memory_bandwidth + BytesPerSecond(1e9 * static_cast<double>(shapes.upto(1500) - 1))};
    CHECK(model.time(kernel) <= model.time(kernel, less));
    CHECK(model.time(kernel, less) <= model.time(kernel, more));
  }
}

TEST_CASE("filling the pipeline costs a tile as much as prologue_k steps, whatever its k") {
  GpuSpec gpu = plain_gpu();
  gpu.gemm.prologue_k = 1000;
  const double wave = 4.096e-6;
  CHECK(time_of(gpu, Gemm<std::int64_t>{640, 32, 1000, bf16}) == doctest::Approx(2 * wave).epsilon(1e-12));
  CHECK(time_of(gpu, Gemm<std::int64_t>{640, 32, 3000, bf16}) == doctest::Approx(4 * wave).epsilon(1e-12));
}

// Two tiles, k in four parts: eight tiles of k / 4 + 4·split_k steps in one wave.
TEST_CASE("a GEMM of few tiles splits its k when adding the parts is cheap") {
  GpuSpec gpu = plain_gpu();
  gpu.gemm.split_k = 10;
  CHECK(time_of(gpu, Gemm<std::int64_t>{128, 32, 1000, bf16}) == doctest::Approx(4.096e-6 * (250 + 40) / 1000).epsilon(1e-12));
}

TEST_CASE("the library picks the tile that is done first") {
  GpuSpec gpu = plain_gpu();
  const double whole_tiles = time_of(gpu, Gemm<std::int64_t>{16, 16, 1000, bf16});
  gpu.gemm.tiles.push_back({16, 16, 0.5});
  CHECK(time_of(gpu, Gemm<std::int64_t>{16, 16, 1000, bf16}) == doctest::Approx(whole_tiles / 8 / 0.5).epsilon(1e-12));
  CHECK(time_of(gpu, Gemm<std::int64_t>{640, 32, 1000, bf16}) == doctest::Approx(whole_tiles).epsilon(1e-12));
}

// t <= burst: t. Beyond: t + (t − burst)·throttle.
TEST_CASE("a long GEMM timed alone runs on at the power-limited rate") {
  GpuSpec gpu = plain_gpu();
  const double wave = 4.096e-6;
  gpu.gemm.burst = Seconds(2 * wave);
  gpu.gemm.throttle = 0.25;
  const auto alone = [&](std::int64_t m) { return GpuCostModel(gpu, Duty::alone).time(Gemm<std::int64_t>{m, 32, 1000, bf16}).value(); };
  CHECK(alone(1280) == doctest::Approx(2 * wave).epsilon(1e-12));
  CHECK(alone(2560) == doctest::Approx(4.5 * wave).epsilon(1e-12));
}

// Busy: t·(1 + throttle), whatever the length, so k parts of a GEMM take as long as the whole.
TEST_CASE("in a busy step a GEMM cut in two takes as long as the whole") {
  GpuSpec gpu = plain_gpu();
  gpu.gemm.burst = Seconds(2 * 4.096e-6);
  gpu.gemm.throttle = 0.25;
  const double whole = time_of(gpu, Gemm<std::int64_t>{2560, 32, 1000, bf16});
  CHECK(whole == doctest::Approx(1.25 * 4 * 4.096e-6).epsilon(1e-12));
  CHECK(2 * time_of(gpu, Gemm<std::int64_t>{1280, 32, 1000, bf16}) == doctest::Approx(whole).epsilon(1e-12));
}

// 9 full experts and one of a single row are ten tiles: one wave. With 10 full ones the single row is the eleventh tile.
TEST_CASE("a skewed grouped GEMM costs only its tail") {
  const double wave = 4.096e-6;
  ExpertRowCounts rows(9, 64);
  rows.push_back(1);
  CHECK(time_of(plain_gpu(), GroupedGemm<ExpertRowCounts>{rows, 32, 1000, bf16}) == doctest::Approx(wave).epsilon(1e-12));
  rows.push_back(64);
  CHECK(time_of(plain_gpu(), GroupedGemm<ExpertRowCounts>{rows, 32, 1000, bf16}) == doctest::Approx(2 * wave).epsilon(1e-12));
  const ExpertRowCounts one_hot{640, 0, 0, 0};
  CHECK(time_of(plain_gpu(), GroupedGemm<ExpertRowCounts>{one_hot, 32, 1000, bf16}) == doctest::Approx(wave).epsilon(1e-12));
}

TEST_CASE("experts without rows change nothing") {
  const GpuCostModel h100(shipped("h100_sxm_80gb"));
  CHECK(h100.time(GroupedGemm<ExpertRowCounts>{{100, 300}, 4096, 4096, bf16}) ==
        h100.time(GroupedGemm<ExpertRowCounts>{{0, 100, 0, 300, 0}, 4096, 4096, bf16}));
}

/// A plain GPU whose grouped GEMMs have tiles of 64 x 32 and 16 x 32. Over k = 1000 these multiply for 4.096 and 1.024 us and take in
/// 96 and 48 · 2000 B, for 4.096 and 2.048 us at this rate.
GpuSpec grouped_gpu() {
  GpuSpec gpu = plain_gpu();
  gpu.gemm.grouped = {1.0, BytesPerSecond(192e3 / 4.096e-6), {{64, 32, 1.0}, {16, 32, 1.0}}};
  return gpu;
}

TEST_CASE("a grouped GEMM's tile takes what multiplying takes, or taking in its operands if that is longer") {
  const double wave = 4.096e-6;
  GpuSpec gpu = grouped_gpu();
  CHECK(time_of(gpu, GroupedGemm<ExpertRowCounts>{{64}, 320, 1000, bf16}) == doctest::Approx(wave).epsilon(1e-12));
  CHECK(time_of(gpu, GroupedGemm<ExpertRowCounts>{{16}, 320, 1000, bf16}) == doctest::Approx(wave / 2).epsilon(1e-12));
  gpu.gemm.grouped->tile_load = gpu.gemm.grouped->tile_load * 0.5;
  CHECK(time_of(gpu, GroupedGemm<ExpertRowCounts>{{64}, 320, 1000, bf16}) == doctest::Approx(2 * wave).epsilon(1e-12));
  gpu.gemm.grouped->tile_load = gpu.gemm.grouped->tile_load * 100.0;
  CHECK(time_of(gpu, GroupedGemm<ExpertRowCounts>{{16}, 320, 1000, bf16}) == doctest::Approx(wave / 4).epsilon(1e-12));
}

// Ten experts of 16 rows: ten tiles of 16 rows in one wave of 2.048 us. All 640 rows at one expert: 40 of those in four waves, where tiles of
// 64 rows would take one of 4.096 us.
TEST_CASE("a tile tuned to even rows is kept when one expert has them all") {
  const double wave = 4.096e-6;
  const ExpertRowCounts one_hot{640, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const auto time = [&](const ExpertRowCounts& rows, std::int64_t tuned) {
    return time_of(grouped_gpu(), GroupedGemm<ExpertRowCounts>{rows, 32, 1000, bf16, tuned});
  };
  CHECK(time(ExpertRowCounts(10, 16), 16) == doctest::Approx(wave / 2).epsilon(1e-12));
  CHECK(time(one_hot, 16) == doctest::Approx(2 * wave).epsilon(1e-12));
  CHECK(time(one_hot, 64) == doctest::Approx(wave).epsilon(1e-12));
  CHECK(time(one_hot, 0) == doctest::Approx(wave).epsilon(1e-12));
}

TEST_CASE("experts' weights are read at the share of the memory's bandwidth that grouped GEMMs reach") {
  GpuSpec gpu = grouped_gpu();
  gpu.memory_bandwidth = BytesPerSecond(1e9);
  gpu.gemm.memory = 0.5;
  gpu.gemm.grouped->memory = 0.8;
  const Kernel few_rows = GroupedGemm<ExpertRowCounts>{{1, 0, 2}, 320, 1000, bf16};
  const double bytes = 2.0 * (2 * 320 * 1000 + 3 * 1000 + 3 * 320);
  CHECK(time_of(gpu, few_rows) == doctest::Approx(bytes / 0.8e9).epsilon(1e-9));
  CHECK(time_of(gpu, Gemm<std::int64_t>{1, 320, 1000, bf16}) > 320 * 1000 * 2 / 0.5e9);
}

// Large m, n and k on an ideal chip: flop / peak. One row against a large weight: bytes / bandwidth.
TEST_CASE("an ideal chip runs at its roofline") {
  GpuSpec gpu = plain_gpu();
  gpu.memory_bandwidth = BytesPerSecond(1e12);
  const GpuCostModel model(gpu);
  const Kernel square = Gemm<std::int64_t>{6400, 6400, 6400, bf16};
  CHECK(model.time(square).value() == doctest::Approx(2.0 * 6400 * 6400 * 6400 / 10e12).epsilon(1e-12));
  CHECK(model.time(square) >= model.floor(square));
  const Kernel row = RmsNorm<std::int64_t>{1000, 500, bf16};
  CHECK(model.time(row).value() == doctest::Approx(2.0 * 2001 * 500 / 1e12).epsilon(1e-12));
}

// longer · (1 + contention · (shorter / longer)³): with equal times 1 + contention.
TEST_CASE("arithmetic and memory that take equally long compete") {
  GpuSpec gpu = plain_gpu();
  gpu.contention = 0.25;
  const Kernel gemm = Gemm<std::int64_t>{640, 32, 1000, bf16};
  gpu.memory_bandwidth = memory_traffic(gemm) / Seconds(4.096e-6);
  CHECK(time_of(gpu, gemm) == doctest::Approx(1.25 * 4.096e-6).epsilon(1e-12));
  gpu.memory_bandwidth = memory_traffic(gemm) / Seconds(2.048e-6);
  CHECK(time_of(gpu, gemm) == doctest::Approx((1 + 0.25 / 8) * 4.096e-6).epsilon(1e-12));
}

// Tiles of 100 queries against kv keys at 4·(head_dim + softmax_depth) FLOP a score on an SM of 1 TFLOP/s. Full attention of 100 such
// tiles on 10 SMs: ten tiles' time and half a tile of drain. Causal: tiles see (kv + 100) / 2 keys in the mean, the longest all.
TEST_CASE("attention takes its tiles' time and half the longest tile") {
  GpuSpec gpu = plain_gpu();
  gpu.attention.tile_rows = 100;
  gpu.attention.softmax_depth = 28;
  const double tile = 4.0 * (100 + 28) * 100 * 1000 / 1e12;
  CHECK(time_of(gpu, Attention<std::int64_t>{1, 1000, 1000, 10, 10, 100, false, bf16}) == doctest::Approx(10.5 * tile).epsilon(1e-12));
  CHECK(time_of(gpu, Attention<std::int64_t>{1, 1000, 1000, 10, 10, 100, true, bf16}) ==
        doctest::Approx((10 * 0.55 + 0.5) * tile).epsilon(1e-12));
}

// One query against 1600 keys is one tile, padded to 64 rows. Cut into 16 parts of 100 keys on 10 SMs: 1.6 parts' time and half a part's.
TEST_CASE("a single tile of queries splits its keys over idle SMs") {
  GpuSpec gpu = plain_gpu();
  gpu.attention.tile_rows = 100;
  const double part = 4.0 * 128 * 64 * 100 / 1e12;
  CHECK(time_of(gpu, Attention<std::int64_t>{1, 1, 1600, 8, 1, 128, true, bf16}) == doctest::Approx(2.1 * part).epsilon(1e-12));
}

// 20 key heads of one query are 20 tiles on 10 SMs, of 80 keys, too few to be cut. A tile begins in 4·128·100·50 FLOP = 2.56 us: two and a half
// times that, and then the reading.
TEST_CASE("a tile reads its keys once it has begun") {
  GpuSpec gpu = plain_gpu();
  gpu.attention.tile_rows = 100;
  gpu.attention.prologue_keys = 50;
  gpu.memory_bandwidth = BytesPerSecond(1e9);
  const Kernel decode = Attention<std::int64_t>{20, 1, 80, 8, 1, 128, true, bf16};
  const double reading = static_cast<double>(memory_traffic(decode).value()) / 1e9;
  CHECK(time_of(gpu, decode) == doctest::Approx(2.5 * 2.56e-6 + reading).epsilon(1e-12));
  CHECK(time_of(gpu, Attention<std::int64_t>{5, 1, 80, 8, 1, 128, true, bf16}) == doctest::Approx(2.56e-6 + reading / 4).epsilon(1e-12));
}

/// A key and its value: 512 B in bf16 of 128 elements. One block reads 256 of them in 131072 B / 20 GB/s = 6.5536 us.
GpuSpec decoding_gpu() {
  GpuSpec gpu = plain_gpu();
  gpu.memory_bandwidth = BytesPerSecond(1e12);
  gpu.contention = 0.0;
  gpu.attention.decode = DecodeEfficiency{Seconds(4e-6), Seconds(1e-6), 32, BytesPerSecond(20e9), Seconds(10e-6), BytesPerSecond(5e12)};
  return gpu;
}

Attention<std::int64_t> decoding(std::int64_t sequences, std::int64_t heads, std::int64_t kv_heads, std::int64_t keys) {
  return {sequences, 1, keys, heads, kv_heads, 128, true, bf16};
}

double reading(const Attention<std::int64_t>& work, const GpuSpec& gpu) {
  return static_cast<double>(memory_traffic(work).value()) / gpu.memory_bandwidth.value();
}

// Ten SMs. 4 and 16 queries of a key head make one block of 4 us, 32 make two, 64 are single blocks of 1 us, and so is one. Two keys each: little
// to read.
TEST_CASE("queries that share a key head are worked on together, and one by one where there is one or more than the kernel takes") {
  GpuSpec gpu = decoding_gpu();
  gpu.attention.decode->fill = Seconds(0);
  const auto blocks_time = [&](std::int64_t heads, std::int64_t kv_heads) { return time_of(gpu, decoding(1000, heads, kv_heads, 2)); };
  CHECK(blocks_time(4, 1) == doctest::Approx(1000 * 4e-6 / 10));
  CHECK(blocks_time(16, 1) == doctest::Approx(1000 * 4e-6 / 10));
  CHECK(blocks_time(32, 1) == doctest::Approx(2000 * 4e-6 / 10));
  CHECK(blocks_time(64, 1) == doctest::Approx(64000 * 1e-6 / 10));
  CHECK(blocks_time(4, 4) == doctest::Approx(4000 * 1e-6 / 10));
  CHECK(time_of(gpu, decoding(1, 4, 1, 2)) == doctest::Approx(4e-6));   // one block, however many SMs
}

TEST_CASE("a long context takes reading its keys, a block's least share of them, and the stream's filling") {
  const GpuSpec gpu = decoding_gpu();
  const Attention<std::int64_t> work = decoding(4, 32, 8, 100'000);
  CHECK(time_of(gpu, work) == doctest::Approx(reading(work, gpu) + 6.5536e-6 + 10e-6).epsilon(1e-9));
}

TEST_CASE("keys that the cache holds wait for no filling of a stream") {
  GpuSpec gpu = decoding_gpu();
  const Attention<std::int64_t> work = decoding(1, 8, 1, 10'000);   // 5.12 MB
  const double without = time_of(gpu, work);
  gpu.pass.cache = PassCache{Bytes(10'000'000), {}};
  CHECK(time_of(gpu, work) == doctest::Approx(without - 10e-6).epsilon(1e-9));
}

// 64 queries of one key head: 64 times 1000 · 512 B at 5 TB/s.
TEST_CASE("single blocks of one key head read its keys again and again") {
  const GpuSpec gpu = decoding_gpu();
  const Attention<std::int64_t> work = decoding(16, 64, 1, 100'000);
  CHECK(time_of(gpu, work) == doctest::Approx(64 * 16 * 100'000 * 512.0 / 5e12 + 6.5536e-6 + 10e-6).epsilon(1e-9));
}

TEST_CASE("longer queries are tiles, whatever decoding takes") {
  GpuSpec gpu = decoding_gpu();
  const Attention<std::int64_t> work{4, 64, 1024, 32, 8, 128, true, bf16};
  const double with = time_of(gpu, work);
  gpu.attention.decode.reset();
  CHECK(time_of(gpu, work) == with);
}

TEST_CASE("decoding a long context takes the time of reading its keys and values") {
  const GpuSpec gpu = shipped("h100_sxm_80gb");
  const Kernel decode = Attention<std::int64_t>{64, 1, 32768, 32, 8, 128, true, bf16};
  const double reading = static_cast<double>(memory_traffic(decode).value()) / (gpu.memory_bandwidth.value() * gpu.attention.memory);
  CHECK(time_of(gpu, decode) >= reading);
  CHECK(time_of(gpu, decode) <= 1.15 * reading);
}

// 1 GB/s from memory, of which a norm reaches half, in the cache 0.8; the cache holds 1 MB. What half of it fills is all there; of streaming
// x = 2 times the cache, h = exp(-2·(1 - h)) stays: 0.2032.
TEST_CASE("a pass streams from the cache what random replacement leaves there of its traffic") {
  GpuSpec gpu = plain_gpu();
  gpu.memory_bandwidth = BytesPerSecond(1e9);
  gpu.pass.rms_norm = 0.5;
  gpu.pass.cache = PassCache{Bytes(1'000'000), {}};
  const auto norm = [&](double megabytes) { return time_of(gpu, RmsNorm<std::int64_t>{static_cast<std::int64_t>(megabytes * 250), 1000, bf16}); };
  CHECK(norm(0.5) == doctest::Approx(0.5e-3 / 0.5).epsilon(0.01));   // no rate of its own in the cache
  gpu.pass.cache->share.rms_norm = 0.8;
  CHECK(norm(0.5) == doctest::Approx(0.5e-3 / 0.8).epsilon(0.01));
  CHECK(norm(1.0) == doctest::Approx(1.0e-3 / 0.8).epsilon(0.07));
  CHECK(norm(2.0) == doctest::Approx(2.0e-3 * (0.2032 / 0.8 + 0.7968 / 0.5)).epsilon(0.01));
  CHECK(norm(50.0) == doctest::Approx(50.0e-3 / 0.5).epsilon(0.001));
}

// A row of 6 kB at 6 GB/s takes 1 us, however few there are; a hundred fill the memory's 10 GB/s for longer.
TEST_CASE("a pass takes no less than the block of one row does") {
  GpuSpec gpu = plain_gpu();
  gpu.memory_bandwidth = BytesPerSecond(10e9);
  gpu.pass.row.residual_add = BytesPerSecond(6e9);
  const double row = 3.0 * 2 * 1000 / 6e9;
  CHECK(time_of(gpu, ResidualAdd<std::int64_t>{1, 1000, bf16}) == doctest::Approx(row).epsilon(1e-9));
  CHECK(time_of(gpu, ResidualAdd<std::int64_t>{100, 1000, bf16}) == doctest::Approx(100.0 * 6000 / 10e9).epsilon(1e-9));
}

TEST_CASE("no rows, no time") {
  const GpuCostModel h100(shipped("h100_sxm_80gb"));
  for (const Kernel& kernel : {Kernel(Gemm<std::int64_t>{0, 64, 64, bf16}), Kernel(GroupedGemm<ExpertRowCounts>{{0, 0}, 64, 64, bf16}),
                               Kernel(GroupedGemm<ExpertRowCounts>{{}, 64, 64, bf16}),
                               Kernel(Attention<std::int64_t>{0, 64, 64, 8, 8, 128, true, bf16}),
                               Kernel(Embedding<std::int64_t>{0, 64, 64, bf16}),
                               Kernel(RmsNorm<std::int64_t>{0, 64, bf16}), Kernel(Rope<std::int64_t>{0, 64, bf16}),
                               Kernel(ResidualAdd<std::int64_t>{0, 64, bf16}), Kernel(Activation<std::int64_t>{0, 64, true, bf16}),
                               Kernel(Router<std::int64_t>{0, 64, 8, 2, bf16}), Kernel(Permute<std::int64_t>{0, 64, bf16}),
                               Kernel(WeightedSum<std::int64_t>{0, 0, 64, bf16})}) {
    CHECK(h100.time(kernel) == Seconds(0));
    CHECK(h100.floor(kernel) == Seconds(0));
  }
}

TEST_CASE("nothing is faster than the roofline") {
  Shapes shapes;
  for (const char* name : {"h100_sxm_80gb", "h100_sxm_64gb", "a100_sxm_80gb"}) {
    const GpuCostModel model(shipped(name));
    for (int i = 0; i < 400; ++i) {
      const Kernel kernel = shapes.kernel();
      CAPTURE(kernel.index());
      CHECK(model.time(kernel) >= model.floor(kernel));
    }
  }
}

TEST_CASE("more rows never take less time") {
  Shapes shapes;
  for (const char* name : {"h100_sxm_80gb", "a100_sxm_80gb"}) {
    const GpuCostModel model(shipped(name));
    for (int i = 0; i < 400; ++i) {
      const std::int64_t n = shapes.size(14), k = shapes.size(14), m = shapes.size(15), more = m + shapes.size(10);
      CAPTURE(m);
      CAPTURE(more);
      CHECK(model.time(Gemm<std::int64_t>{m, n, k, bf16}) <= model.time(Gemm<std::int64_t>{more, n, k, bf16}));
      CHECK(model.time(GroupedGemm<ExpertRowCounts>{{m, 17}, n, k, bf16}) <=
            model.time(GroupedGemm<ExpertRowCounts>{{more, 17}, n, k, bf16}));
      CHECK(model.time(GroupedGemm<ExpertRowCounts>{{m, 17}, n, k, bf16, 1 + k % 300}) <=
            model.time(GroupedGemm<ExpertRowCounts>{{more, 17}, n, k, bf16, 1 + k % 300}));
      CHECK(model.time(Attention<std::int64_t>{m, 1, n, 32, 8, 128, true, bf16}) <=
            model.time(Attention<std::int64_t>{more, 1, n, 32, 8, 128, true, bf16}));
      CHECK(model.time(Attention<std::int64_t>{n, 1, m, 32, 8, 128, true, bf16}) <=
            model.time(Attention<std::int64_t>{n, 1, more, 32, 8, 128, true, bf16}));
      CHECK(model.time(Router<std::int64_t>{m, k, 64, 2, bf16}) <= model.time(Router<std::int64_t>{more, k, 64, 2, bf16}));
      CHECK(model.time(RmsNorm<std::int64_t>{m, k, bf16}) <= model.time(RmsNorm<std::int64_t>{more, k, bf16}));
      CHECK(model.time(Activation<std::int64_t>{m, k, true, bf16}) <= model.time(Activation<std::int64_t>{more, k, true, bf16}));
    }
  }
}

TEST_CASE("a precision that the chip has no unit for is the user's mistake") {
  const GpuCostModel a100(shipped("a100_sxm_80gb"));
  CHECK_THROWS_AS((void)a100.time(Gemm<std::int64_t>{64, 64, 64, Precision::fp8}), ConfigError);
  CHECK_THROWS_AS((void)a100.floor(Gemm<std::int64_t>{64, 64, 64, Precision::fp8}), ConfigError);
}

TEST_CASE("a specification that no chip can have is refused") {
  GpuSpec gpu = plain_gpu();
  gpu.gemm.sustained = 1.1;
  CHECK_THROWS_AS(GpuCostModel{gpu}, std::invalid_argument);
  gpu = plain_gpu();
  gpu.gemm.tiles.clear();
  CHECK_THROWS_AS(GpuCostModel{gpu}, std::invalid_argument);
  gpu = plain_gpu();
  gpu.contention = 0.6;
  CHECK_THROWS_AS(GpuCostModel{gpu}, std::invalid_argument);
  gpu = decoding_gpu();
  gpu.attention.decode->block_rate = BytesPerSecond(0);
  CHECK_THROWS_AS(GpuCostModel{gpu}, std::invalid_argument);
  gpu = plain_gpu();
  gpu.pass.cache = PassCache{};
  CHECK_THROWS_AS(GpuCostModel{gpu}, std::invalid_argument);
  gpu = plain_gpu();
  gpu.pass.row.rope = BytesPerSecond(0);
  CHECK_THROWS_AS(GpuCostModel{gpu}, std::invalid_argument);
  gpu = grouped_gpu();
  gpu.gemm.grouped->tile_load = BytesPerSecond(0);
  CHECK_THROWS_AS(GpuCostModel{gpu}, std::invalid_argument);
  gpu = grouped_gpu();
  gpu.gemm.grouped->tiles.clear();
  CHECK_THROWS_AS(GpuCostModel{gpu}, std::invalid_argument);
}

}  // namespace fabricast::gpu_cost_test
