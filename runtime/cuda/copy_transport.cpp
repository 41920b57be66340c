// Virtual ranks: one launch for all copies of a collective, on the stream of its first member, which waits for all members and for which
// all wait.
#include <map>
#include <numeric>
#include <utility>

#include "runtime/cuda/device_transport.hpp"
#include "runtime/cuda/kernels.hpp"
#include "runtime/pieces.hpp"
#include "runtime/upload_plan.hpp"
#include "strategies/ir/resolve.hpp"

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
  std::int64_t moved = 0;
};

class CopyTransport final : public DeviceTransport {
 public:
  CopyTransport(const ir::Schedule& schedule, const ir::Instances& instances, std::span<const NodeId> node_of,
                const std::vector<const std::vector<BoundOp>*>& ops)
      : shapes_(exchange_shapes(schedule, instances)), all_here_(make_event()) {
    for (std::size_t i = 0; i < instances.all.size(); ++i) plan(schedule, instances.all[i], shapes_[i], node_of, ops);
    tables_ = DeviceMemory(Bytes(static_cast<std::int64_t>(uploads_.bytes().size())));
    check(cudaMemcpy(tables_.data(), uploads_.bytes().data(), uploads_.bytes().size(), cudaMemcpyHostToDevice));
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

  [[nodiscard]] Bytes moved(ir::InstanceId instance) const override { return Bytes(exchanges_[instance.index()].moved); }

 private:
  void plan(const ir::Schedule& schedule, const ir::Instance& instance, const ExchangeShape& shape, std::span<const NodeId> node_of,
            const std::vector<const std::vector<BoundOp>*>& ops) {
    std::vector<const runtime::Exchange*> parts;
    std::vector<NodeId> nodes;
    for (const ir::InstanceMember& m : instance.members) {
      parts.push_back(&*(*ops[m.rank.index()])[m.op.index()].exchange);
      nodes.push_back(node_of.empty() ? NodeId{0} : node_of[m.rank.index()]);
    }
    exchanges_.emplace_back();
    exchanges_.back().members = static_cast<std::int32_t>(parts.size());
    const ir::InstanceMember& first = instance.members.front();
    const ir::Op& op = schedule.program_of(first.rank).ops[first.op.index()];
    const auto algorithm = ir::resolve_collective(schedule, first.rank, op).algorithm;
    if (shape.kind == hw::CollectiveKind::reduce_scatter || shape.kind == hw::CollectiveKind::all_reduce) {
      plan_sum(shape, parts);
    } else if (algorithm == hw::CollectiveAlgorithm::hierarchical && hw::applies(shape.kind, algorithm, nodes)) {
      plan_two_hops(hierarchical_copies(shape, nodes), parts);
    } else {
      add_copies(copies_of(shape), [&](const Piece& p) { return Copy{input(parts, p), output(parts, p), p.bytes}; });
    }
  }

  [[nodiscard]] static const std::byte* input(const std::vector<const runtime::Exchange*>& parts, const Piece& piece) {
    return parts[static_cast<std::size_t>(piece.source)]->input.data() + piece.source_offset;
  }
  [[nodiscard]] static std::byte* output(const std::vector<const runtime::Exchange*>& parts, const Piece& piece) {
    return parts[static_cast<std::size_t>(piece.destination)]->output.data() + piece.destination_offset;
  }

  template <class Place>
  void add_copies(const std::vector<Piece>& pieces, Place place) {
    std::vector<Copy> copies;
    for (const Piece& piece : pieces) {
      copies.push_back(place(piece));
      if (piece.source != piece.destination) exchanges_.back().moved += piece.bytes;
    }
    exchanges_.back().copies.push_back({uploads_.add(std::span<const Copy>(copies)), static_cast<std::int64_t>(copies.size())});
  }

  void plan_two_hops(const TwoHops& hops, const std::vector<const runtime::Exchange*>& parts) {
    std::vector<std::byte*> scratch;
    for (const std::int64_t bytes : hops.scratch) {
      scratch_.emplace_back(Bytes(bytes));
      scratch.push_back(scratch_.back().data());
    }
    add_copies(hops.first, [&](const Piece& p) {
      return Copy{input(parts, p), scratch[static_cast<std::size_t>(p.destination)] + p.destination_offset, p.bytes};
    });
    add_copies(hops.second, [&](const Piece& p) {
      return Copy{scratch[static_cast<std::size_t>(p.source)] + p.source_offset, output(parts, p), p.bytes};
    });
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
      exchange.moved += count * width * (n - 1);
      for (std::int64_t other = 0; other < n && !scatters; ++other) {
        if (other == i || count == 0) continue;
        copies.push_back({own, parts[static_cast<std::size_t>(other)]->output.data() + first * width, count * width});
        exchange.moved += count * width;
      }
      first += count;
    }
    if (!copies.empty()) {
      exchange.copies.push_back({uploads_.add(std::span<const Copy>(copies)), static_cast<std::int64_t>(copies.size())});
    }
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
