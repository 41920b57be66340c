#include "runtime/cuda/device_kernel.hpp"

#include <algorithm>

#include "runtime/cuda/gemm.hpp"
#include "runtime/cuda/kernels.hpp"
#include "runtime/host_elementwise.hpp"
#include "runtime/kernel_needs.hpp"
#include "runtime/upload_plan.hpp"

namespace fabricast::runtime::cuda {
namespace {

using RowCount = std::int64_t;

constexpr std::int64_t buffer_alignment = 256;   // as ir::plan_memory places buffers

std::int64_t aligned(std::int64_t bytes) { return (bytes + buffer_alignment - 1) / buffer_alignment * buffer_alignment; }

Bytes bytes_of_buffers(const KernelNeeds& needs) {
  std::int64_t sum = 0;
  for (const BufferNeed& need : needs.reads) sum += aligned(needs.size_of(need).value());
  for (const BufferNeed& need : needs.writes) sum += aligned(needs.size_of(need).value());
  return Bytes(sum);
}

ComputeSpace::Sizes space_sizes_of(const hw::Kernel& kernel, hw::Precision precision, std::int32_t expert_streams) {
  const auto* const grouped = std::get_if<hw::GroupedGemm<hw::ExpertRowCounts>>(&kernel);
  const auto* const router = std::get_if<hw::Router<RowCount>>(&kernel);
  return {precision, grouped && grouped->rows.size() > 1 ? static_cast<std::size_t>(expert_streams) : 0, hopper_workspace,
          Bytes(router ? router->rows * router->experts * std::int64_t{sizeof(float)} : 0)};
}

std::vector<Turn> turns_of(const hw::Kernel& kernel) {
  const auto* const rope = std::get_if<hw::Rope<RowCount>>(&kernel);
  return rope ? rotary_turns(std::min(rope->sequence_length, rope->rows), rope->head_dim) : std::vector<Turn>{};
}

/// As bench_table and turns_of have them: an entry for each row permuted and each choice, a turn for each position and half head.
Bytes bytes_of_tables(const hw::Kernel& kernel) {
  constexpr std::int64_t entry = sizeof(std::int32_t);
  if (const auto* permute = std::get_if<hw::Permute<RowCount>>(&kernel)) return Bytes(permute->rows * entry);
  if (const auto* router = std::get_if<hw::Router<RowCount>>(&kernel)) return Bytes(router->rows * router->top_k * entry);
  if (const auto* sum = std::get_if<hw::WeightedSum<RowCount>>(&kernel)) return Bytes((sum->tokens + sum->rows) * entry);
  const auto* const rope = std::get_if<hw::Rope<RowCount>>(&kernel);
  return Bytes(rope ? std::min(rope->sequence_length, rope->rows) * rope->head_dim / 2 * std::int64_t{sizeof(Turn)} : 0);
}

}  // namespace

DeviceKernel::DeviceKernel(const hw::Kernel& kernel, cudaStream_t stream, std::int32_t expert_streams, std::uint64_t seed)
    : space_(stream, space_sizes_of(kernel, needs_of(kernel).precision, expert_streams)) {
  const KernelNeeds needs = needs_of(kernel);
  ir::SplitMix64 random(seed);
  op_.work = needs.work;
  bound_.op = &op_;
  buffers_ = DeviceMemory(bytes_of_buffers(needs));
  const std::int64_t element = hw::element_bytes(needs.precision);
  launch_fill_random(seed, {buffers_.data(), 1, static_cast<std::int64_t>(buffers_.span().size()) / element, space_.is_bf16()}, stream);
  check(cudaStreamSynchronize(stream));
  std::byte* place = buffers_.data();
  const auto add = [&](const BufferNeed& need, std::vector<View>& views) {
    views.push_back({place, need.rows, needs.row_bytes(need)});
    place += aligned(needs.size_of(need).value());
    if (need.filling == BufferNeed::Filling::numbers) return;
    std::vector<std::byte> values(views.back().bytes().size());
    fill_ids_or_choices(need, values, random);
    upload(values, views.back().data);
  };
  for (const BufferNeed& need : needs.reads) add(need, bound_.reads);
  for (const BufferNeed& need : needs.writes) add(need, bound_.writes);
  if (needs.in_place) bound_.writes = bound_.reads;
  bound_.table = bench_table(kernel, random);
  if (const auto* grouped = std::get_if<hw::GroupedGemm<hw::ExpertRowCounts>>(&kernel)) bound_.expert_rows = grouped->rows;
  UploadPlan uploads;
  (void)uploads.add(std::span<const std::int32_t>(bound_.table));
  turns_at_ = uploads.add(std::span<const Turn>(turns_of(kernel)));
  tables_ = DeviceMemory(Bytes(static_cast<std::int64_t>(uploads.bytes().size())));
  upload(uploads.bytes(), tables_.data());
}

OpTables DeviceKernel::tables() const {
  return {reinterpret_cast<const std::int32_t*>(tables_.data()), reinterpret_cast<const float*>(tables_.data() + turns_at_)};
}

Bytes DeviceKernel::memory_of(const hw::Kernel& kernel, std::int32_t expert_streams) {
  const KernelNeeds needs = needs_of(kernel);
  return bytes_of_buffers(needs) + bytes_of_tables(kernel) + ComputeSpace::memory_of(space_sizes_of(kernel, needs.precision, expert_streams));
}

}  // namespace fabricast::runtime::cuda
