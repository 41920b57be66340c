// NCCL between processes. What NCCL has no call for (unequal shards, variable all-to-all, two hops) is grouped calls of what it has.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "runtime/communicators.hpp"
#include "runtime/cuda/device_transport.hpp"
#include "runtime/cuda/nccl_api.hpp"
#include "runtime/pieces.hpp"

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

/// Ids of all communicators, each made by its first member, told to everybody.
std::vector<UniqueId> exchange_ids(const Communicators& plan, Rank rank, Rendezvous* rendezvous) {
  std::vector<UniqueId> ids(plan.members.size());
  std::vector<std::byte> own;
  for (std::size_t c = 0; c < plan.members.size(); ++c) {
    if (plan.members[c].front() != rank) continue;
    ids[c] = new_unique_id();
    const auto bytes = std::as_bytes(std::span(&ids[c], 1));
    own.insert(own.end(), bytes.begin(), bytes.end());
  }
  if (!rendezvous) return ids;
  const std::vector<Message> all = rendezvous->all_gather(own);
  std::vector<std::size_t> read(all.size(), 0);
  for (std::size_t c = 0; c < plan.members.size(); ++c) {
    const std::size_t leader = plan.members[c].front().index();
    if (read[leader] + sizeof(UniqueId) > all[leader].size()) {
      throw ExecutionError(fmt::format("rank {} sent fewer NCCL ids than the schedule needs: do all ranks run the same experiment?", leader));
    }
    std::memcpy(&ids[c], all[leader].data() + read[leader], sizeof(UniqueId));
    read[leader] += sizeof(UniqueId);
  }
  return ids;
}

/// One of this rank's instances.
struct Part {
  std::size_t communicator = 0;
  std::int32_t member = 0;
  std::vector<std::vector<Piece>> hops;   // what this rank sends and receives, in the order in which all ranks list it
};

class NcclTransport final : public DeviceTransport {
 public:
  NcclTransport(const ir::Schedule& schedule, const ir::Instances& instances, Rank rank, std::span<const NodeId> node_of,
                Rendezvous* rendezvous, std::int32_t most_ctas)
      : shapes_(exchange_shapes(schedule, instances, node_of)), parts_(instances.all.size()) {
    const Communicators plan = plan_communicators(schedule, instances);
    for (std::size_t i = 0; i < instances.all.size(); ++i) plan_part(instances.all[i], i, rank, plan);
    connect_all(plan, rank, rendezvous, most_ctas);
  }

  void exchange(std::span<const DeviceMember> members) override {
    const DeviceMember& own = members.front();
    const runtime::Exchange& data = *own.op->exchange;
    const std::size_t instance = data.instance.index();
    const ExchangeShape& shape = shapes_[instance];
    const Part& part = parts_[instance];
    const ncclComm_t communicator = communicators_.at(part.communicator).get();
    if (!communicator) throw NcclError("NCCL: the communicator was given up");
    switch (shape.kind) {
      case hw::CollectiveKind::all_reduce:
        check(ncclAllReduce(data.input.data(), data.output.data(), size_of(shape.counts[0]) / width_of(shape), type_of(shape.precision), ncclSum,
                            communicator, own.stream));
        return;
      case hw::CollectiveKind::all_gather: gather(shape, data, communicator, own.stream); return;
      case hw::CollectiveKind::reduce_scatter: scatter(shape, data, part, communicator, own.stream); return;
      case hw::CollectiveKind::broadcast:
        check(ncclBroadcast(data.input.data(), data.output.data(), size_of(shape.counts[0]), ncclUint8, 0, communicator, own.stream));
        return;
      case hw::CollectiveKind::all_to_all:
      case hw::CollectiveKind::send: run_hops(data, part, communicator, own.stream); return;
    }
  }

  void check_health() override {
    const std::lock_guard lock(mutex_);
    for (const auto& [index, communicator] : communicators_) {
      if (!communicator.get()) continue;
      ncclResult_t result = ncclSuccess;
      check(ncclCommGetAsyncError(communicator.get(), &result));
      check(result);
    }
  }

  void abort() noexcept override {
    const std::lock_guard lock(mutex_);
    for (auto& [index, communicator] : communicators_) communicator.abort();
  }

  [[nodiscard]] Bytes moved(ir::InstanceId instance) const override { return bytes_between_members(shapes_[instance.index()]); }

 private:
  [[nodiscard]] static std::size_t width_of(const ExchangeShape& shape) { return static_cast<std::size_t>(hw::element_bytes(shape.precision)); }

  void plan_part(const ir::Instance& instance, std::size_t index, Rank rank, const Communicators& plan) {
    const auto own = std::find_if(instance.members.begin(), instance.members.end(), [&](const auto& m) { return m.rank == rank; });
    if (own == instance.members.end()) return;
    Part& part = parts_[index];
    part.communicator = static_cast<std::size_t>(plan.of[index]);
    part.member = static_cast<std::int32_t>(own - instance.members.begin());
    const ExchangeShape& shape = shapes_[index];
    if (shape.kind != hw::CollectiveKind::all_to_all && shape.kind != hw::CollectiveKind::send) return;
    const Copies copies = copies_of(shape);
    for (const std::vector<Piece>& hop : copies.hops) part.hops.push_back(own_pieces(hop, part.member));
    const Bytes stored(copies.scratch[static_cast<std::size_t>(part.member)]);
    DeviceMemory& scratch = scratch_[part.communicator];   // a communicator's instances run one after the other
    if (scratch.span().size() < size_of(stored)) scratch = DeviceMemory(stored);
  }

  [[nodiscard]] static std::vector<Piece> own_pieces(const std::vector<Piece>& all, std::int32_t member) {
    std::vector<Piece> own;
    std::copy_if(all.begin(), all.end(), std::back_inserter(own), [&](const Piece& p) { return p.source == member || p.destination == member; });
    return own;
  }

  /// In ascending order on every rank, so that no two ranks wait for each other in different communicators.
  void connect_all(const Communicators& plan, Rank rank, Rendezvous* rendezvous, std::int32_t most_ctas) {
    const std::vector<UniqueId> ids = exchange_ids(plan, rank, rendezvous);
    for (std::size_t c = 0; c < plan.members.size(); ++c) {
      const std::vector<Rank>& members = plan.members[c];
      const auto own = std::find(members.begin(), members.end(), rank);
      if (own == members.end()) continue;
      try {
        communicators_.emplace(c, connect(ids[c], static_cast<int>(members.size()), static_cast<int>(own - members.begin()), most_ctas));
      } catch (const NcclError& error) {
        throw ExecutionError(fmt::format("rank {} cannot connect to its {} peers: {}", rank.value, members.size() - 1, error.what()));
      }
    }
  }

  static void gather(const ExchangeShape& shape, const runtime::Exchange& data, ncclComm_t communicator, cudaStream_t stream) {
    if (all_equal(shape.counts)) {
      check(ncclAllGather(data.input.data(), data.output.data(), size_of(shape.counts[0]), ncclUint8, communicator, stream));
      return;
    }
    check(ncclGroupStart());
    std::size_t offset = 0;
    for (std::size_t root = 0; root < shape.members; ++root) {
      const std::size_t bytes = size_of(shape.counts[root]);
      if (bytes > 0) {
        check(ncclBroadcast(data.input.data(), data.output.data() + offset, bytes, ncclUint8, static_cast<int>(root), communicator, stream));
      }
      offset += bytes;
    }
    check(ncclGroupEnd());
  }

  static void scatter(const ExchangeShape& shape, const runtime::Exchange& data, const Part& part, ncclComm_t communicator,
                      cudaStream_t stream) {
    const std::size_t width = width_of(shape);
    if (all_equal(shape.counts)) {
      check(ncclReduceScatter(data.input.data(), data.output.data(), size_of(shape.counts[0]) / width, type_of(shape.precision), ncclSum,
                              communicator, stream));
      return;
    }
    check(ncclGroupStart());
    std::size_t offset = 0;
    for (std::size_t root = 0; root < shape.members; ++root) {
      const std::size_t bytes = size_of(shape.counts[root]);
      std::byte* const out = static_cast<std::int32_t>(root) == part.member ? data.output.data() : nullptr;
      if (bytes > 0) {
        check(ncclReduce(data.input.data() + offset, out, bytes / width, type_of(shape.precision), ncclSum, static_cast<int>(root),
                         communicator, stream));
      }
      offset += bytes;
    }
    check(ncclGroupEnd());
  }

  /// Pieces between a pair match in the order of the list, which is everybody's.
  void run_hops(const runtime::Exchange& data, const Part& part, ncclComm_t communicator, cudaStream_t stream) {
    std::byte* const scratch = scratch_.at(part.communicator).data();
    const auto from = [&](const Piece& p) { return (p.from_scratch ? scratch : data.input.data()) + p.source_offset; };
    const auto to = [&](const Piece& p) { return (p.to_scratch ? scratch : data.output.data()) + p.destination_offset; };
    for (const std::vector<Piece>& pieces : part.hops) {
      check(ncclGroupStart());
      for (const Piece& p : pieces) {
        const auto bytes = static_cast<std::size_t>(p.bytes);
        if (p.source == p.destination) continue;
        if (p.source == part.member) check(ncclSend(from(p), bytes, ncclUint8, p.destination, communicator, stream));
        if (p.destination == part.member) check(ncclRecv(to(p), bytes, ncclUint8, p.source, communicator, stream));
      }
      check(ncclGroupEnd());
      for (const Piece& p : pieces) {
        if (p.source != p.destination || from(p) == to(p)) continue;
        check(cudaMemcpyAsync(to(p), from(p), static_cast<std::size_t>(p.bytes), cudaMemcpyDeviceToDevice, stream));
      }
    }
  }

  std::vector<ExchangeShape> shapes_;                  // by InstanceId
  std::vector<Part> parts_;                            // by InstanceId; empty where this rank is no member
  std::map<std::size_t, DeviceMemory> scratch_;        // by communicator
  std::mutex mutex_;                                   // of what follows, against abort
  std::map<std::size_t, Communicator> communicators_;  // this rank's
};

}  // namespace

std::unique_ptr<DeviceTransport> make_nccl_transport(const ir::Schedule& schedule, const ir::Instances& instances, Rank rank,
                                                     std::span<const NodeId> node_of, Rendezvous* rendezvous, std::int32_t most_ctas) {
  require_nccl();
  return std::make_unique<NcclTransport>(schedule, instances, rank, node_of, rendezvous, most_ctas);
}

}  // namespace fabricast::runtime::cuda
