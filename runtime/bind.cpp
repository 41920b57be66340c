// From an op of a program to one that can run on a rank.
#include <algorithm>
#include <stdexcept>

#include "runtime/bound_op.hpp"
#include "runtime/row_order.hpp"
#include "strategies/ir/resolve.hpp"

namespace fabricast::runtime {
namespace {

using ir::AllToAll;
using ir::Collective;
using ir::Extent;
using ir::Recv;
using ir::Send;

class Binder {
 public:
  Binder(const ir::Schedule& schedule, Rank rank, const ir::Instances& instances, const ir::MemoryPlan& plan, std::span<std::byte> memory)
      : schedule_(schedule), program_(schedule.program_of(rank)), rank_(rank), instances_(instances), plan_(plan), memory_(memory) {}

  BoundOp bind(ir::OpIndex index) {
    const ir::Op& op = program_.ops[index.index()];
    BoundOp bound;
    bound.op = &op;
    bound.rank = rank_;
    bound.index = index;
    for (const ir::BufferSlice& slice : op.reads) bound.reads.push_back(view(slice));
    for (const ir::BufferSlice& slice : op.writes) {
      bound.writes.push_back(view(slice));
      bound.writes_logits = bound.writes_logits || spec(slice.buffer).kind == ir::BufferKind::logits;
    }
    std::visit([&](const auto& work) { fill(bound, work); }, op.work);
    return bound;
  }

 private:
  [[nodiscard]] const ir::BufferSpec& spec(ir::BufferId buffer) const { return program_.buffers[buffer.index()]; }
  [[nodiscard]] std::int64_t rows(const Extent& extent) const { return ir::evaluate(extent, schedule_, rank_); }

  [[nodiscard]] View view(const ir::BufferSlice& slice) const {
    const ir::BufferSpec& buffer = spec(slice.buffer);
    const std::int64_t all = rows(buffer.rows), first = rows(slice.first);
    const std::int64_t count = slice.rows ? rows(*slice.rows) : all - first;
    if (first < 0 || count < 0 || first + count > all) throw std::logic_error("a slice leaves its buffer");
    const std::int64_t offset = plan_.offsets[slice.buffer.index()].value() + first * buffer.row_bytes;
    if (count * buffer.row_bytes > 0 && offset + count * buffer.row_bytes > static_cast<std::int64_t>(memory_.size())) {
      throw std::logic_error("a buffer leaves its rank's memory");
    }
    return {memory_.data() + offset, count, buffer.row_bytes};
  }

  [[nodiscard]] bool is_embedding_table(ir::BufferId buffer) const {
    return std::any_of(program_.ops.begin(), program_.ops.end(), [&](const ir::Op& op) {
      return std::holds_alternative<hw::Embedding<Extent>>(op.work) && op.reads.size() > 1 && op.reads[1].buffer == buffer;
    });
  }

  void fill(BoundOp& bound, const hw::Gemm<Extent>&) const { bound.weight_is_table = is_embedding_table(bound.op->reads.at(1).buffer); }
  void fill(BoundOp& bound, const hw::GroupedGemm<ir::ExpertRows>& work) const {
    bound.expert_rows = ir::evaluate(work.rows, schedule_, rank_);
  }
  void fill(BoundOp& bound, const hw::Embedding<Extent>& work) const {
    bound.first_id = schedule_.member_of(rank_, ir::Axis::tensor) * work.vocabulary;
  }
  void fill(BoundOp& bound, const hw::Router<Extent>&) const { bound.table = experts_of_shard(schedule_, rank_, bound.op->step); }

  void fill(BoundOp& bound, const hw::Permute<Extent>& work) const {
    const ir::RoutingStep step = bound.op->step;
    switch (work.order) {
      case hw::RowOrder::by_destination:
        for (const SentRow& row : sent_rows(schedule_, rank_, step)) bound.table.push_back(row.token);
        return;
      case hw::RowOrder::by_expert: bound.table = rows_by_expert(schedule_, rank_, step); return;
      case hw::RowOrder::by_arrival: bound.table = rows_by_arrival(schedule_, rank_, step); return;
    }
  }

  void fill(BoundOp& bound, const hw::WeightedSum<Extent>& work) const {
    bound.table = places_of_choices(sent_rows(schedule_, rank_, bound.op->step), rows(work.tokens), schedule_.routing.shape().top_k);
  }

  void fill(BoundOp&, const hw::Attention<Extent>&) const {}
  void fill(BoundOp&, const hw::RmsNorm<Extent>&) const {}
  void fill(BoundOp&, const hw::Rope<Extent>&) const {}
  void fill(BoundOp&, const hw::ResidualAdd<Extent>&) const {}
  void fill(BoundOp&, const hw::Activation<Extent>&) const {}

  void fill(BoundOp& bound, const Collective& work) const { exchange(bound, schedule_.member_of(rank_, work.axis)); }
  void fill(BoundOp& bound, const AllToAll&) const { exchange(bound, schedule_.member_of(rank_, ir::Axis::expert)); }
  void fill(BoundOp& bound, const Send&) const { exchange(bound, 0); }
  void fill(BoundOp& bound, const Recv&) const { exchange(bound, 1); }

  void exchange(BoundOp& bound, std::int32_t member) const {
    Exchange part{instances_.at(rank_, bound.index), static_cast<std::size_t>(member), {}, {}};
    if (!bound.reads.empty()) part.input = bound.reads[0].bytes();
    if (!bound.writes.empty()) part.output = bound.writes[0].bytes();
    bound.exchange = part;
  }

  const ir::Schedule& schedule_;
  const ir::Program& program_;
  Rank rank_;
  const ir::Instances& instances_;
  const ir::MemoryPlan& plan_;
  std::span<std::byte> memory_;
};

hw::Precision precision_of(const ir::Work& work) {
  const auto* collective = std::get_if<Collective>(&work);
  return collective ? collective->precision : hw::Precision::bf16;  // where nothing is summed, any will do
}

std::vector<std::vector<hw::RoutedTransfer>> route_of(const ir::ResolvedCollective& resolved, std::span<const NodeId> node_of) {
  if (resolved.algorithm != hw::CollectiveAlgorithm::hierarchical || node_of.empty()) return {};
  std::vector<NodeId> nodes;
  for (const Rank rank : resolved.members) nodes.push_back(node_of[rank.index()]);
  if (!hw::applies(resolved.kind, resolved.algorithm, nodes)) return {};
  return hw::route_all_to_all(resolved.algorithm, nodes, resolved.counts);
}

}  // namespace

std::vector<BoundOp> bind(const ir::Schedule& schedule, Rank rank, const ir::Instances& instances, const ir::MemoryPlan& plan,
                          std::span<std::byte> memory) {
  Binder binder(schedule, rank, instances, plan, memory);
  std::vector<BoundOp> ops;
  const std::size_t count = schedule.program_of(rank).ops.size();
  ops.reserve(count);
  for (std::size_t i = 0; i < count; ++i) ops.push_back(binder.bind(ir::OpIndex{static_cast<std::int32_t>(i)}));
  return ops;
}

std::vector<ExchangeShape> exchange_shapes(const ir::Schedule& schedule, const ir::Instances& instances, std::span<const NodeId> node_of) {
  std::vector<ExchangeShape> shapes;
  shapes.reserve(instances.all.size());
  for (const ir::Instance& instance : instances.all) {
    const ir::InstanceMember& first = instance.members.front();
    const ir::Op& op = schedule.program_of(first.rank).ops[first.op.index()];
    ir::ResolvedCollective resolved = ir::resolve_collective(schedule, first.rank, op);
    auto route = route_of(resolved, node_of);
    shapes.push_back({resolved.kind, resolved.members.size(), std::move(resolved.counts), precision_of(op.work), std::move(route)});
  }
  return shapes;
}

}  // namespace fabricast::runtime
