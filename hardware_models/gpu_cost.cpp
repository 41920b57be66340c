#include "hardware_models/gpu_cost.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "hardware_models/kernel_cost.hpp"

namespace fabricast::hw {

namespace {

/// The same pass over a single row.
template <class Work> Work one_row(Work work) {
  work.rows = 1;
  return work;
}
Embedding<std::int64_t> one_row(Embedding<std::int64_t> work) {
  work.tokens = 1;
  return work;
}
WeightedSum<std::int64_t> one_row(WeightedSum<std::int64_t> work) {
  work.tokens = work.rows = 1;
  return work;
}

/// Time beyond the launch, by kernel.
struct WorkTime {
  const Chip& chip;
  Duty duty;
  const GpuSpec& gpu = chip.gpu;

  template <class Work> Seconds pass(PassKind kind, const Work& work) const {
    return pass_time(kind, memory_traffic(work), memory_traffic(one_row(work)), chip);
  }
  Seconds operator()(const Gemm<std::int64_t>& work) const { return gemm_time(work, chip, duty); }
  Seconds operator()(const GroupedGemm<ExpertRowCounts>& work) const { return grouped_gemm_time(work, chip, duty); }
  Seconds operator()(const Attention<std::int64_t>& work) const { return attention_time(work, chip); }
  /// A GEMM that writes the logits, then a pass that turns them into choices.
  Seconds operator()(const Router<std::int64_t>& work) const {
    const Gemm<std::int64_t> logits{work.rows, work.experts, work.width, work.precision};
    const Bytes logit_bytes(work.rows * work.experts * element_bytes(Precision::fp32));
    const Bytes inputs = memory_traffic(Router<std::int64_t>{work.rows, work.width, work.experts, 0, work.precision});
    const Bytes choices = memory_traffic(work) - inputs;
    return (*this)(logits) + gpu.launch + pass_time(PassKind::router, logit_bytes + choices, Bytes(work.experts * element_bytes(Precision::fp32)), chip);
  }
  Seconds operator()(const Embedding<std::int64_t>& work) const { return pass(PassKind::embedding, work); }
  Seconds operator()(const RmsNorm<std::int64_t>& work) const { return pass(PassKind::rms_norm, work); }
  Seconds operator()(const Rope<std::int64_t>& work) const { return pass(PassKind::rope, work); }
  Seconds operator()(const ResidualAdd<std::int64_t>& work) const { return pass(PassKind::residual_add, work); }
  Seconds operator()(const Activation<std::int64_t>& work) const { return pass(PassKind::activation, work); }
  Seconds operator()(const Permute<std::int64_t>& work) const { return pass(PassKind::permute, work); }
  Seconds operator()(const WeightedSum<std::int64_t>& work) const { return pass(PassKind::weighted_sum, work); }
};

struct IsEmpty {
  bool operator()(const Gemm<std::int64_t>& work) const { return work.m == 0; }
  bool operator()(const GroupedGemm<ExpertRowCounts>& work) const {
    return std::all_of(work.rows.begin(), work.rows.end(), [](std::int64_t rows) { return rows == 0; });
  }
  bool operator()(const Attention<std::int64_t>& work) const {
    return work.sequences == 0 || work.query_length == 0 || work.kv_length == 0;
  }
  bool operator()(const Embedding<std::int64_t>& work) const { return work.tokens == 0; }
  bool operator()(const RmsNorm<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const Rope<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const ResidualAdd<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const Activation<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const Router<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const Permute<std::int64_t>& work) const { return work.rows == 0; }
  bool operator()(const WeightedSum<std::int64_t>& work) const { return work.tokens == 0 && work.rows == 0; }
};

Precision precision_of(const Kernel& kernel) {
  return std::visit([](const auto& work) { return work.precision; }, kernel);
}

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

bool is_share(double value) { return value > 0.0 && value <= 1.0; }

void check_tiles(const std::vector<GemmTile>& tiles) {
  require(!tiles.empty(), "a GPU needs a GEMM tile");
  for (const GemmTile& tile : tiles) {
    require(tile.rows >= 1 && tile.columns >= 1 && is_share(tile.efficiency),
            "a GEMM tile needs rows, columns and an efficiency in (0, 1]");
  }
}

void check_passes(const PassEfficiency& pass) {
  if (pass.cache) require(pass.cache->size > Bytes{}, "a GPU's cache holds something");
  for (const PassKind kind : all_passes) {
    require(is_share(pass[kind]), "a GPU's efficiencies lie in (0, 1]");
    if (pass.cache && pass.cache->share[kind]) require(is_share(*pass.cache->share[kind]), "a GPU's efficiencies lie in (0, 1]");
    if (pass.row[kind]) require(*pass.row[kind] > BytesPerSecond(0), "a block streams its row at some rate");
  }
}

void check(const GpuSpec& gpu) {
  require(gpu.streaming_multiprocessors >= 1, "a GPU needs a streaming multiprocessor");
  require(gpu.memory_bandwidth > BytesPerSecond(0), "a GPU needs memory bandwidth");
  require(gpu.launch >= Seconds(0) && gpu.gemm.setup >= Seconds(0) && gpu.gemm.burst >= Seconds(0), "a GPU's times cannot be negative");
  require(gpu.contention >= 0.0 && gpu.contention <= 0.5, "a GPU's contention lies in 0 ... 0.5");
  require(gpu.gemm.throttle >= 0.0 && gpu.gemm.prologue_k >= 0 && gpu.gemm.split_k >= 0, "a GPU's GEMM overheads cannot be negative");
  require(gpu.attention.tile_rows >= 1 && gpu.attention.prologue_keys >= 0 && gpu.attention.softmax_depth >= 0,
          "a GPU's attention overheads cannot be negative");
  require(gpu.interference.sms >= 0.0 && gpu.interference.sms <= 1.0 && gpu.interference.memory >= 0.0, "a kernel loses no more SMs than are held");
  require(gpu.slowdown >= 1.0, "a slow GPU takes longer, not less");
  check_tiles(gpu.gemm.tiles);
  if (gpu.gemm.grouped) {
    check_tiles(gpu.gemm.grouped->tiles);
    require(is_share(gpu.gemm.grouped->memory), "a GPU's efficiencies lie in (0, 1]");
    require(gpu.gemm.grouped->tile_load > BytesPerSecond(0), "an SM needs a rate at which it takes in the operands of a tile");
  }
  for (const double share : {gpu.gemm.sustained, gpu.gemm.sustained_fp8.value_or(gpu.gemm.sustained), gpu.gemm.memory, gpu.attention.sustained, gpu.attention.memory}) {
    require(is_share(share), "a GPU's efficiencies lie in (0, 1]");
  }
  if (const auto& decode = gpu.attention.decode) {
    require(decode->shared_block >= Seconds(0) && decode->single_block >= Seconds(0) && decode->fill >= Seconds(0), "a GPU's times cannot be negative");
    require(decode->block_rate > BytesPerSecond(0) && decode->shared_reads > BytesPerSecond(0), "keys are read at some rate");
    require(decode->most_shared >= 1, "a query reads its own keys");
  }
  check_passes(gpu.pass);
}

}  // namespace

GpuCostModel::GpuCostModel(GpuSpec gpu, Duty duty) : gpu_(std::move(gpu)), duty_(duty) { check(gpu_); }

Seconds GpuCostModel::time(const Kernel& kernel, const GpuLoad& load) const {
  if (std::visit(IsEmpty{}, kernel)) return Seconds(0);
  const Chip chip = what_is_left(gpu_, load);
  return (gpu_.launch + std::visit(WorkTime{chip, duty_}, kernel)) * gpu_.slowdown;
}

Seconds GpuCostModel::floor(const Kernel& kernel) const {
  if (std::visit(IsEmpty{}, kernel)) return Seconds(0);
  const Seconds memory = memory_traffic(kernel) / gpu_.memory_bandwidth;
  const Flop work = flop(kernel);
  return work > Flop(0) ? std::max(work / peak_of(gpu_, precision_of(kernel)), memory) : memory;
}

}  // namespace fabricast::hw
