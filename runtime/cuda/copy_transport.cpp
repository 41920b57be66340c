// Virtual ranks: one launch for all copies of a collective, on the stream of its first member, which waits for all members and for which
// all wait.
#include "runtime/cuda/device_transport.hpp"
#include "runtime/cuda/kernels.hpp"
#include "runtime/pieces.hpp"
#include "runtime/upload_plan.hpp"

namespace fabricast::runtime::cuda {
namespace {

/// Copies that may run at once: a place among the tables, and how many.
struct CopyList {
  std::size_t offset = 0;
  std::int64_t count = 0;
};

/// One member's share of a sum.
struct SumPart {
  std::int64_t first, elements;          // of the inputs
  std::byte* out;
};

struct Exchange {
  bool sums = false;
  std::size_t inputs = 0;                // offset of the members' input addresses
  std::int32_t members = 0;
  std::vector<SumPart> parts;            // first the sums
  std::vector<CopyList> copies;          // then these, one after the other
  Bytes moved;
};

class CopyTransport final : public DeviceTransport {
 public:
  CopyTransport(const ir::Schedule& schedule, const ir::Instances& instances, std::span<const NodeId> node_of,
                const std::vector<const std::vector<BoundOp>*>& ops)
      : shapes_(exchange_shapes(schedule, instances, node_of)), all_here_(make_event()) {
    for (std::size_t i = 0; i < instances.all.size(); ++i) plan(instances.all[i], shapes_[i], ops);
    tables_ = DeviceMemory(Bytes(static_cast<std::int64_t>(uploads_.bytes().size())));
    upload(uploads_.bytes(), tables_.data());
  }

  void exchange(std::span<const DeviceMember> members) override {
    const cudaStream_t stream = members.front().stream;
    for (const DeviceMember& member : members.subspan(1)) check(cudaStreamWaitEvent(stream, member.reached));
    const std::size_t instance = members.front().op->exchange->instance.index();
    const Exchange& exchange = exchanges_[instance];
    const bool is_bf16 = shapes_[instance].precision == hw::Precision::bf16;
    for (const SumPart& part : exchange.parts) {
      launch_sum_members(reinterpret_cast<const std::byte* const*>(tables_.data() + exchange.inputs), exchange.members, part.first,
                         {part.out, 1, part.elements, is_bf16}, stream);
    }
    for (const CopyList& list : exchange.copies) {
      launch_copies(reinterpret_cast<const Copy*>(tables_.data() + list.offset), list.count, stream);
    }
    if (members.size() == 1) return;
    check(cudaEventRecord(all_here_.get(), stream));
    for (const DeviceMember& member : members.subspan(1)) check(cudaStreamWaitEvent(member.stream, all_here_.get()));
  }

  [[nodiscard]] Bytes moved(ir::InstanceId instance) const override { return exchanges_[instance.index()].moved; }

 private:
  void plan(const ir::Instance& instance, const ExchangeShape& shape, const std::vector<const std::vector<BoundOp>*>& ops) {
    std::vector<const runtime::Exchange*> parts;
    for (const ir::InstanceMember& m : instance.members) parts.push_back(&*(*ops[m.rank.index()])[m.op.index()].exchange);
    exchanges_.emplace_back();
    exchanges_.back().members = static_cast<std::int32_t>(parts.size());
    exchanges_.back().moved = bytes_between_members(shape);
    if (shape.kind == hw::CollectiveKind::reduce_scatter || shape.kind == hw::CollectiveKind::all_reduce) {
      plan_sum(shape, parts);
    } else {
      plan_copies(copies_of(shape), parts);
    }
  }

  void plan_copies(const Copies& planned, const std::vector<const runtime::Exchange*>& parts) {
    std::vector<std::byte*> scratch;
    for (const std::int64_t bytes : planned.scratch) {
      scratch.push_back(bytes == 0 ? nullptr : scratch_.emplace_back(Bytes(bytes)).data());
    }
    for (const std::vector<Piece>& hop : planned.hops) {
      std::vector<Copy> copies;
      for (const Piece& p : hop) {
        const auto source = static_cast<std::size_t>(p.source), destination = static_cast<std::size_t>(p.destination);
        const std::byte* const from = p.from_scratch ? scratch[source] : parts[source]->input.data();
        std::byte* const to = p.to_scratch ? scratch[destination] : parts[destination]->output.data();
        copies.push_back({from + p.source_offset, to + p.destination_offset, p.bytes});
      }
      add(copies);
    }
  }

  void add(const std::vector<Copy>& copies) {
    if (copies.empty()) return;
    exchanges_.back().copies.push_back({uploads_.add(std::span<const Copy>(copies)), static_cast<std::int64_t>(copies.size())});
  }

  /// Each member's part is summed into its own output by all; of an all-reduce, a slice, which the others then copy: right in place, too,
  /// since a slice is read only while it is summed.
  void plan_sum(const ExchangeShape& shape, const std::vector<const runtime::Exchange*>& parts) {
    Exchange& exchange = exchanges_.back();
    std::vector<const std::byte*> inputs;
    for (const runtime::Exchange* part : parts) inputs.push_back(part->input.data());
    exchange.inputs = uploads_.add(std::span<const std::byte* const>(inputs));
    const std::int64_t width = shape.precision == hw::Precision::bf16 ? 2 : 4, n = exchange.members;
    const bool scatters = shape.kind == hw::CollectiveKind::reduce_scatter;
    std::int64_t first = 0;
    std::vector<Copy> copies;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t all = shape.counts[0].value() / width;
      const std::int64_t count = scatters ? shape.counts[static_cast<std::size_t>(i)].value() / width : all * (i + 1) / n - all * i / n;
      std::byte* const own = parts[static_cast<std::size_t>(i)]->output.data() + (scatters ? 0 : first * width);
      exchange.parts.push_back({first, count, own});
      for (std::int64_t other = 0; other < n && !scatters; ++other) {
        if (other == i || count == 0) continue;
        copies.push_back({own, parts[static_cast<std::size_t>(other)]->output.data() + first * width, count * width});
      }
      first += count;
    }
    add(copies);
  }

  std::vector<ExchangeShape> shapes_;      // by InstanceId
  std::vector<Exchange> exchanges_;        // by InstanceId
  std::vector<DeviceMemory> scratch_;
  UploadPlan uploads_;
  DeviceMemory tables_;
  Event all_here_;
};

}  // namespace

std::unique_ptr<DeviceTransport> make_copy_transport(const ir::Schedule& schedule, const ir::Instances& instances,
                                                     std::span<const NodeId> node_of,
                                                     const std::vector<const std::vector<BoundOp>*>& ops) {
  return std::make_unique<CopyTransport>(schedule, instances, node_of, ops);
}

}  // namespace fabricast::runtime::cuda
