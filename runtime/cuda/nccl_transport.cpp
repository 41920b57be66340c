// NCCL between processes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>

#include "runtime/communicators.hpp"
#include "runtime/cuda/device_transport.hpp"
#include "runtime/cuda/nccl_exchange.hpp"

namespace fabricast::runtime::cuda {
namespace {

constexpr std::chrono::milliseconds patience_with_a_call{500};

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
  NcclPart of_rank;
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
  ~NcclTransport() override { abort(); }
  NcclTransport(const NcclTransport&) = delete;
  NcclTransport& operator=(const NcclTransport&) = delete;

  void exchange(std::span<const DeviceMember> members) override {
    const DeviceMember& own = members.front();
    const runtime::Exchange& data = *own.op->exchange;
    const std::size_t instance = data.instance.index();
    const Part& part = parts_[instance];
    const std::lock_guard lock(mutex_);
    const ncclComm_t communicator = communicators_.at(part.communicator).get();
    if (!communicator) throw NcclError("NCCL: the communicator was given up");
    const auto scratch = scratch_.find(part.communicator);
    enqueue_exchange(shapes_[instance], part.of_rank, data, scratch == scratch_.end() ? nullptr : scratch->second.data(), communicator, own.stream);
  }

  void check_health() override {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return;                                 // a call is under way, and tells itself
    for (const auto& [index, communicator] : communicators_) {
      if (!communicator.get()) continue;
      ncclResult_t result = ncclSuccess;
      check(ncclCommGetAsyncError(communicator.get(), &result));
      check(result);
    }
  }

  void abort() noexcept override {
    const std::unique_lock lock(mutex_, patience_with_a_call);   // a call that takes longer is what is to be ended
    abort_all(communicators_);
  }

  [[nodiscard]] Bytes moved(ir::InstanceId instance) const override { return bytes_between_members(shapes_[instance.index()]); }

 private:
  void plan_part(const ir::Instance& instance, std::size_t index, Rank rank, const Communicators& plan) {
    const auto own = std::find_if(instance.members.begin(), instance.members.end(), [&](const auto& m) { return m.rank == rank; });
    if (own == instance.members.end()) return;
    Part& part = parts_[index];
    part.communicator = static_cast<std::size_t>(plan.of[index]);
    part.of_rank = nccl_part(shapes_[index], static_cast<std::int32_t>(own - instance.members.begin()));
    if (part.of_rank.scratch == Bytes{}) return;
    DeviceMemory& scratch = scratch_[part.communicator];   // a communicator's instances run one after the other
    if (Bytes(static_cast<std::int64_t>(scratch.span().size())) < part.of_rank.scratch) scratch = DeviceMemory(part.of_rank.scratch);
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

  std::vector<ExchangeShape> shapes_;                  // by InstanceId
  std::vector<Part> parts_;                            // by InstanceId; empty where this rank is no member
  std::map<std::size_t, DeviceMemory> scratch_;        // by communicator
  std::timed_mutex mutex_;                             // of what follows, against abort
  std::map<std::size_t, Communicator> communicators_;  // this rank's
};

}  // namespace

std::unique_ptr<DeviceTransport> make_nccl_transport(const ir::Schedule& schedule, const ir::Instances& instances, Rank rank,
                                                     std::span<const NodeId> node_of, Rendezvous* rendezvous, std::int32_t most_ctas) {
  require_nccl();
  return std::make_unique<NcclTransport>(schedule, instances, rank, node_of, rendezvous, most_ctas);
}

}  // namespace fabricast::runtime::cuda
