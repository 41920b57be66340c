#include "runtime/cuda/nccl_exchange.hpp"

#include <algorithm>
#include <iterator>

#include "runtime/executor.hpp"

namespace fabricast::runtime::cuda {
namespace {

ncclDataType_t type_of(hw::Precision precision) {
  switch (precision) {
    case hw::Precision::fp32: return ncclFloat32;
    case hw::Precision::bf16: return ncclBfloat16;
    case hw::Precision::fp16: return ncclFloat16;
    case hw::Precision::fp8: break;
  }
  throw BackendUnavailable("NCCL sums no fp8; set the precision of reductions to bf16");
}

std::size_t size_of(Bytes bytes) { return static_cast<std::size_t>(bytes.value()); }

bool all_equal(const std::vector<Bytes>& counts) {
  return std::all_of(counts.begin(), counts.end(), [&](Bytes b) { return b == counts.front(); });
}

std::size_t width_of(const ExchangeShape& shape) { return static_cast<std::size_t>(hw::element_bytes(shape.precision)); }

std::vector<Piece> own_pieces(const std::vector<Piece>& all, std::int32_t member) {
  std::vector<Piece> own;
  std::copy_if(all.begin(), all.end(), std::back_inserter(own), [&](const Piece& p) { return p.source == member || p.destination == member; });
  return own;
}

/// Calls that NCCL takes as one. A group that an error leaves is closed, too, since else later calls of the thread, even an abort, would join it.
class Group {
 public:
  Group() { check(ncclGroupStart()); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    if (is_open_) (void)ncclGroupEnd();
  }
  void end() {
    is_open_ = false;
    check(ncclGroupEnd());
  }

 private:
  bool is_open_ = true;
};

void gather(const ExchangeShape& shape, const runtime::Exchange& data, ncclComm_t communicator, cudaStream_t stream) {
  if (all_equal(shape.counts)) {
    check(ncclAllGather(data.input.data(), data.output.data(), size_of(shape.counts[0]), ncclUint8, communicator, stream));
    return;
  }
  Group group;
  std::size_t offset = 0;
  for (std::size_t root = 0; root < shape.members; ++root) {
    const std::size_t bytes = size_of(shape.counts[root]);
    if (bytes > 0) {
      check(ncclBroadcast(data.input.data(), data.output.data() + offset, bytes, ncclUint8, static_cast<int>(root), communicator, stream));
    }
    offset += bytes;
  }
  group.end();
}

void scatter(const ExchangeShape& shape, const runtime::Exchange& data, std::int32_t member, ncclComm_t communicator, cudaStream_t stream) {
  const std::size_t width = width_of(shape);
  if (all_equal(shape.counts)) {
    check(ncclReduceScatter(data.input.data(), data.output.data(), size_of(shape.counts[0]) / width, type_of(shape.precision), ncclSum,
                            communicator, stream));
    return;
  }
  Group group;
  std::size_t offset = 0;
  for (std::size_t root = 0; root < shape.members; ++root) {
    const std::size_t bytes = size_of(shape.counts[root]);
    std::byte* const out = static_cast<std::int32_t>(root) == member ? data.output.data() : nullptr;
    if (bytes > 0) {
      check(ncclReduce(data.input.data() + offset, out, bytes / width, type_of(shape.precision), ncclSum, static_cast<int>(root),
                       communicator, stream));
    }
    offset += bytes;
  }
  group.end();
}

/// Pieces between a pair match in the order of the list, which is everybody's. What stays goes the same way, as in nccl-tests: beside the
/// rest, where a copy of our own could only come before or after.
void run_hops(const runtime::Exchange& data, const NcclPart& part, std::byte* scratch, ncclComm_t communicator, cudaStream_t stream) {
  const auto from = [&](const Piece& p) { return (p.from_scratch ? scratch : data.input.data()) + p.source_offset; };
  const auto to = [&](const Piece& p) { return (p.to_scratch ? scratch : data.output.data()) + p.destination_offset; };
  for (const std::vector<Piece>& pieces : part.hops) {
    Group group;
    for (const Piece& p : pieces) {
      const auto bytes = static_cast<std::size_t>(p.bytes);
      if (p.source == p.destination && from(p) == to(p)) continue;
      if (p.source == part.member) check(ncclSend(from(p), bytes, ncclUint8, p.destination, communicator, stream));
      if (p.destination == part.member) check(ncclRecv(to(p), bytes, ncclUint8, p.source, communicator, stream));
    }
    group.end();
  }
}

}  // namespace

NcclPart nccl_part(const ExchangeShape& shape, std::int32_t member) {
  NcclPart part;
  part.member = member;
  if (shape.kind != hw::CollectiveKind::all_to_all && shape.kind != hw::CollectiveKind::send) return part;
  const Copies copies = copies_of(shape);
  for (const std::vector<Piece>& hop : copies.hops) part.hops.push_back(own_pieces(hop, member));
  part.scratch = Bytes(copies.scratch[static_cast<std::size_t>(member)]);
  return part;
}

void enqueue_exchange(const ExchangeShape& shape, const NcclPart& part, const runtime::Exchange& data, std::byte* scratch, ncclComm_t communicator,
                      cudaStream_t stream) {
  switch (shape.kind) {
    case hw::CollectiveKind::all_reduce:
      check(ncclAllReduce(data.input.data(), data.output.data(), size_of(shape.counts[0]) / width_of(shape), type_of(shape.precision), ncclSum,
                          communicator, stream));
      return;
    case hw::CollectiveKind::all_gather: gather(shape, data, communicator, stream); return;
    case hw::CollectiveKind::reduce_scatter: scatter(shape, data, part.member, communicator, stream); return;
    case hw::CollectiveKind::broadcast:
      check(ncclBroadcast(data.input.data(), data.output.data(), size_of(shape.counts[0]), ncclUint8, 0, communicator, stream));
      return;
    case hw::CollectiveKind::all_to_all:
    case hw::CollectiveKind::send: run_hops(data, part, scratch, communicator, stream); return;
  }
}

}  // namespace fabricast::runtime::cuda
