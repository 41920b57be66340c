// Published tables of kernel times: aiconfigurator, DeepGEMM, InferSim, FlashAttention and Vidur, told by their columns. Each source and
// what it measures is given in the comments of the table itself.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "hardware_models/config_error.hpp"
#include "validation/published_parts.hpp"
#include "validation/read_measurements.hpp"

namespace fabricast::validation {

namespace {

using hw::Precision;
using Rows = std::int64_t;
using Row = CsvTable::Row;

constexpr double microseconds = 1e-6, milliseconds = 1e-3, tera = 1e12;
constexpr double copy_share = 0.8;   // of the memory's bandwidth, by passes that a source times together with a kernel: what a copy reaches

Seconds time_in(const CsvTable& table, const Row& row, std::string_view column, double unit) {
  return checked_time(table.positive(row, column) * unit, {table.file, row.line});
}

Precision precision_named(const CsvTable& table, const Row& row, std::string_view column) {
  const std::string& name = table.text(row, column);
  if (name == "bfloat16" || name == "bf16") return Precision::bf16;
  if (name == "float16" || name == "fp16") return Precision::fp16;
  if (name == "fp8" || name == "fp8_block") return Precision::fp8;
  table.fail(row, column, "is no precision that we know");
}

/// fp8: the time holds the pass that quantises A, which reads m·k in 16 bits and writes them in 8, at 0.8 of the memory's bandwidth, and a
/// constant, which is fitted. Blockwise, that pass also finds a scale for 128 elements: what an element costs is fitted as well.
void read_gemm_row(const CsvTable& table, const Row& row, BySystem& into) {
  const hw::Gemm<Rows> work{table.integer(row, "m"), table.integer(row, "n"), table.integer(row, "k"), precision_named(table, row, "dtype")};
  KernelMeasurement entry = single(work, time_in(table, row, "latency_us", microseconds), into.place(row));
  const bool blockwise = table.text(row, "dtype") == "fp8_block";
  const std::string cost = "aiconfigurator gemm " + table.text(row, "dtype");
  if (work.precision == Precision::fp8) entry.costs.push_back({cost});
  if (work.precision == Precision::fp8 && !blockwise) {
    entry.streamed = Bytes(3 * work.m * work.k);
    entry.streamed_share = copy_share;
  }
  if (blockwise) {
    entry.costs.push_back({cost + ", each million elements quantised", static_cast<double>(work.m * work.k) / million});
    entry.kind += " blockwise";
  }
  into.of(table.text(row, "system")).kernels.push_back(std::move(entry));
}

/// DeepGEMM gives a rate: seconds = 2·groups·m·n·k / rate. The masked layout leaves rows out of a padded tensor: groups · rows still.
void read_deepgemm_row(const CsvTable& table, const Row& row, BySystem& into) {
  const Rows groups = table.integer(row, "groups"), m = table.integer(row, "M_per_group"), n = table.integer(row, "N");
  const Rows k = table.integer(row, "K");
  const double flop = 2.0 * static_cast<double>(groups) * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const Seconds time = checked_time(flop / (table.positive(row, "tflops") * tera), into.place(row));
  const hw::ExpertRowCounts rows(static_cast<std::size_t>(groups), m);
  hw::Kernel kernel = hw::Gemm<Rows>{m, n, k, Precision::fp8};
  if (groups > 1) kernel = hw::GroupedGemm<hw::ExpertRowCounts>{rows, n, k, Precision::fp8};
  KernelMeasurement entry = single(std::move(kernel), time, into.place(row));
  entry.kind += " blockwise";
  into.of("h800_sxm").kernels.push_back(std::move(entry));
}

void read_infersim_gemm_row(const CsvTable& table, const Row& row, BySystem& into) {
  const hw::Gemm<Rows> work{table.integer(row, "m"), table.integer(row, "n"), table.integer(row, "k"), Precision::fp8};
  KernelMeasurement entry = single(work, time_in(table, row, "latency_us", microseconds), into.place(row));
  entry.kind += " blockwise";
  into.of("h800_sxm").kernels.push_back(std::move(entry));
}

/// Gate and up are one product of 2 · intermediate columns.
void read_infersim_grouped_row(const CsvTable& table, const Row& row, BySystem& into) {
  const hw::ExpertRowCounts rows(static_cast<std::size_t>(table.integer(row, "num_local_experts")), table.integer(row, "tokens_per_expert"));
  const Rows hidden = table.integer(row, "hidden_size"), inner = table.integer(row, "intermediate_size");
  for (const bool up : {true, false}) {
    const hw::GroupedGemm<hw::ExpertRowCounts> work{rows, up ? 2 * inner : hidden, up ? hidden : inner, Precision::fp8};
    KernelMeasurement entry = single(work, time_in(table, row, up ? "up_proj_us" : "down_proj_us", microseconds), into.place(row));
    entry.kind += " blockwise";
    into.of("h800_sxm").kernels.push_back(std::move(entry));
  }
}

/// The time holds a pass that rotates and caches Q, K and V before the kernel: their traffic once in and once out at 0.8 of the memory's
/// bandwidth (what a copy reaches), and a constant, which is fitted.
void read_prefill_row(const CsvTable& table, const Row& row, BySystem& into) {
  const Rows batch = table.integer(row, "batch"), length = table.integer(row, "seq"), heads = table.integer(row, "heads");
  const Rows kv_heads = table.integer(row, "kv_heads"), depth = table.integer(row, "head_dim");
  const hw::Attention<Rows> work{batch, length, length, heads, kv_heads, depth, true, Precision::bf16};
  KernelMeasurement entry = single(work, time_in(table, row, "latency_us", microseconds), into.place(row));
  entry.kind = "attention prefill bf16";
  entry.streamed = Bytes(2 * 2 * depth * batch * length * (heads + 2 * kv_heads));
  entry.streamed_share = copy_share;
  entry.costs.push_back({"aiconfigurator attention prefill"});
  into.of(table.text(row, "system")).kernels.push_back(std::move(entry));
}

void read_decode_row(const CsvTable& table, const Row& row, BySystem& into) {
  const hw::Attention<Rows> work{table.integer(row, "batch"),    1,
                                 table.integer(row, "kv_len"),   table.integer(row, "heads"),
                                 table.integer(row, "kv_heads"), table.integer(row, "head_dim"),
                                 false,                          Precision::bf16};
  KernelMeasurement entry = single(work, time_in(table, row, "latency_us", microseconds), into.place(row));
  entry.costs.push_back({"aiconfigurator attention decode"});   // as for prefill; the pass over one token's Q, K and V is too short to count
  into.of(table.text(row, "system")).kernels.push_back(std::move(entry));
}

void read_infersim_decode_row(const CsvTable& table, const Row& row, BySystem& into) {
  if (table.text(row, "kv_dtype") != "bf16") return;   // the model has one precision for Q, K and V
  constexpr Rows heads = 32, kv_heads = 8, depth = 128;  // the file's name says so
  const hw::Attention<Rows> work{table.integer(row, "batch_size"), 1, table.integer(row, "kv_len"), heads, kv_heads, depth, false,
                                 Precision::bf16};
  into.of("h800_sxm").kernels.push_back(single(work, time_in(table, row, "latency_us", microseconds), into.place(row)));
}

/// Rates, causal FLOP halved as flop() counts them.
void read_flash_attention_row(const CsvTable& table, const Row& row, BySystem& into) {
  if (table.text(row, "pass") != "fwd") return;
  const Rows heads = table.integer(row, "heads"), length = table.integer(row, "seq");
  const hw::Attention<Rows> work{table.integer(row, "batch"), length, length, heads, heads, table.integer(row, "head_dim"),
                                 table.integer(row, "causal") != 0, Precision::fp16};
  const double rate = table.positive(row, "tflops") * tera;
  KernelMeasurement entry = single(work, checked_time(hw::flop(work).value() / rate, into.place(row)), into.place(row));
  entry.kind += " " + table.text(row, "impl");
  into.of(system_named(table.text(row, "gpu"))).kernels.push_back(std::move(entry));
}

struct VidurOp {
  std::string_view column;
  hw::Kernel kernel;
};

std::vector<VidurOp> vidur_ops(const CsvTable& table, const Row& row) {
  constexpr Precision fp16 = Precision::fp16;
  const Rows tensor = table.integer(row, "num_tensor_parallel_workers"), tokens = table.integer(row, "num_tokens");
  const Rows heads = table.integer(row, "n_head"), kv_heads = table.integer(row, "n_kv_head"), width = table.integer(row, "n_embd");
  const Rows inner = table.integer(row, "n_expanded_embd") / tensor, depth = width / heads, vocabulary = table.integer(row, "vocab_size");
  return {{"attn_pre_proj", hw::Gemm<Rows>{tokens, (heads + 2 * kv_heads) * depth / tensor, width, fp16}},
          {"attn_post_proj", hw::Gemm<Rows>{tokens, width, width / tensor, fp16}},
          {"mlp_up_proj", hw::Gemm<Rows>{tokens, 2 * inner, width, fp16}},
          {"mlp_down_proj", hw::Gemm<Rows>{tokens, width, inner, fp16}},
          {"input_layernorm", hw::RmsNorm<Rows>{tokens, width, fp16}},
          {"attn_rope", hw::Rope<Rows>{tokens, (heads + kv_heads) * depth / tensor, fp16}},
          {"mlp_act", hw::Activation<Rows>{tokens, inner, true, fp16}},
          {"add", hw::ResidualAdd<Rows>{tokens, width, fp16}},
          {"emb", hw::Embedding<Rows>{tokens, width, vocabulary / tensor, fp16}}};
}

/// One row holds every operator of a layer; the chip is in the file's name. Times are in steps of a microsecond or more: 0 says too short.
void read_vidur_row(const CsvTable& table, const Row& row, BySystem& into) {
  for (VidurOp& op : vidur_ops(table, row)) {
    const std::string column = fmt::format("time_stats.{}.median", op.column);
    if (table.number(row, column) <= 0) continue;
    into.of(system_named(table.file)).kernels.push_back(single(std::move(op.kernel), time_in(table, row, column, milliseconds), into.place(row)));
  }
}

struct TableKind {
  std::vector<std::string_view> columns;   // those that tell it from the others
  ReadRow read;
};

const std::vector<TableKind>& table_kinds() {
  static const std::vector<TableKind> kinds{
      {{"system", "dtype", "m", "n", "k", "latency_us"}, read_gemm_row},
      {{"groups", "M_per_group", "N", "K", "tflops"}, read_deepgemm_row},
      {{"m", "k", "n", "latency_us", "mfu"}, read_infersim_gemm_row},
      {{"num_local_experts", "tokens_per_expert", "up_proj_us", "down_proj_us"}, read_infersim_grouped_row},
      {{"system", "batch", "seq", "heads", "kv_heads", "head_dim", "latency_us"}, read_prefill_row},
      {{"system", "batch", "kv_len", "heads", "kv_heads", "head_dim", "latency_us"}, read_decode_row},
      {{"dtype", "kv_dtype", "batch_size", "kv_len", "latency_us"}, read_infersim_decode_row},
      {{"gpu", "impl", "pass", "head_dim", "causal", "tflops"}, read_flash_attention_row},
      {{"time_stats.mlp_up_proj.median", "num_tensor_parallel_workers", "num_tokens"}, read_vidur_row},
      {{"system", "kernel", "num_tokens", "moe_tp", "moe_ep", "routing_distribution", "latency_us"}, read_moe_row},
      {{"system", "phase", "num_tokens", "ep", "routing_distribution", "latency_us"}, read_wide_ep_row},
      {{"system", "nccl_version", "op", "num_gpus", "size_bytes", "latency_us"}, read_nccl_intranode_row},
      {{"set", "op", "gpu", "nodes", "gpus", "size_bytes", "time_us_oop", "time_us_ip"}, read_nccl_tables_row},
      {{"time_stats.all_reduce.median", "num_workers", "size", "devices_per_node"}, read_vidur_all_reduce_row},
      {{"time_stats.send_recv.median", "num_workers", "size", "devices_per_node"}, read_vidur_send_row},
      {{"system", "node_num", "num_token", "num_topk", "dispatch_sms", "dispatch_transmit_us", "combine_transmit_us"}, read_deepep_normal_row},
      {{"system", "node_num", "num_token", "num_topk", "dispatch_avg_t_us", "combine_avg_t_us"}, read_deepep_low_latency_row},
      {{"hardware", "kernel", "EP", "dispatch_us", "dispatch_GBps", "combine_us", "combine_GBps"}, read_deepep_document_row},
      {{"platform", "ranks", "SMs", "kern_disp_fp8", "kern_disp_bf16", "kern_combine"}, read_hybrid_ep_row},
  };
  return kinds;
}

bool fits(const CsvTable& table, const TableKind& kind) {
  for (const std::string_view column : kind.columns) {
    if (!table.find(column)) return false;
  }
  return true;
}

}  // namespace

Measurements& BySystem::of(const std::string& system) {
  for (Measurements& entry : systems_) {
    if (entry.system == system) return entry;
  }
  Measurements& entry = systems_.emplace_back();
  entry.system = system;
  entry.source = table_.file;
  return entry;
}

std::string system_named(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, const char*>, 10> names{{{"GB200", ""}, {"GH200", ""}, {"H100", "h100_sxm"}, {"h100", "h100_sxm"},
                                                                            {"A100", "a100_sxm"}, {"a100", "a100_sxm"}, {"H800", "h800_sxm"},
                                                                            {"h800", "h800_sxm"}, {"H200", "h200_sxm"}, {"B200", "b200_sxm"}}};
  for (const auto& [part, system] : names) {
    if (text.find(part) != std::string_view::npos) return system;
  }
  return {};
}

std::vector<Measurements> read_published(const CsvTable& table) {
  for (const TableKind& kind : table_kinds()) {
    if (!fits(table, kind)) continue;
    BySystem systems(table);
    for (const Row& row : table.rows) kind.read(table, row, systems);
    return std::move(systems).take();
  }
  return {};
}

}  // namespace fabricast::validation
