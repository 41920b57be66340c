#include "runtime/kernel_op.hpp"

#include "runtime/bf16.hpp"
#include "runtime/kernel_needs.hpp"
#include "runtime/matrix.hpp"

namespace fabricast::runtime {
namespace {

/// Evenly over [-1, 1).
float random_number(ir::SplitMix64& random) { return static_cast<float>(static_cast<double>(random.next() >> 40) * 0x1p-23 - 1.0); }

void fill(const View& view, const BufferNeed& need, hw::Precision precision, ir::SplitMix64& random) {
  fill_ids_or_choices(need, view.bytes(), random);
  if (need.filling != BufferNeed::Filling::numbers) return;
  with_element(precision, [&](auto element) {
    auto* const values = reinterpret_cast<decltype(element)*>(view.data);
    for (std::int64_t i = 0; i < need.rows * need.columns; ++i) store(random_number(random), values[i]);
  });
}

}  // namespace

Bytes KernelOp::memory_of(const hw::Kernel& kernel) { return needs_of(kernel).memory(); }

KernelOp::KernelOp(const hw::Kernel& kernel, std::uint64_t seed) {
  const KernelNeeds needs = needs_of(kernel);
  ir::SplitMix64 random(seed);
  op_.work = needs.work;
  bound_.op = &op_;
  const auto add = [&](const BufferNeed& need, std::vector<View>& views) {
    buffers_.emplace_back(needs.size_of(need));
    views.push_back({buffers_.back().memory().data(), need.rows, needs.row_bytes(need)});
    fill(views.back(), need, needs.precision, random);
  };
  for (const BufferNeed& need : needs.reads) add(need, bound_.reads);
  for (const BufferNeed& need : needs.writes) add(need, bound_.writes);
  if (needs.in_place) bound_.writes = bound_.reads;
  bound_.table = bench_table(kernel, random);
  if (const auto* grouped = std::get_if<hw::GroupedGemm<hw::ExpertRowCounts>>(&kernel)) bound_.expert_rows = grouped->rows;
}

}  // namespace fabricast::runtime
