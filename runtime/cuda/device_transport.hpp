// The seam between ranks on devices: enqueues a collective on its members' streams. Knows no step, no edges and no times.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/bound_op.hpp"
#include "runtime/cuda/cuda_api.hpp"
#include "runtime/cuda_plugin.hpp"

namespace fabricast::runtime::cuda {

/// A member's part in one exchange: its stream has been told to wait for all that the op needs, and `reached` is recorded behind that.
struct DeviceMember {
  const BoundOp* op;
  cudaStream_t stream;
  cudaEvent_t reached;
};

class DeviceTransport {
 public:
  virtual ~DeviceTransport() = default;
  /// Of one instance, all members that live in this process, in group order. Enqueues; does not wait for the device. On each member's
  /// stream what follows comes after the member's output is there and its input no longer needed.
  virtual void exchange(std::span<const DeviceMember> members) = 0;
  /// Throws std::runtime_error where the library has found that something went wrong since.
  virtual void check_health() {}
  /// Ends what is under way, from any thread: exchange and the device come back, with an error.
  virtual void abort() noexcept {}
  /// What the members of the instance take from each other in one step.
  [[nodiscard]] virtual Bytes moved(ir::InstanceId instance) const = 0;
};

/// All members on this device: copies and sums in its memory. `ops` by rank, each rank's ops in program order.
[[nodiscard]] std::unique_ptr<DeviceTransport> make_copy_transport(const ir::Schedule& schedule, const ir::Instances& instances,
                                                                   std::span<const NodeId> node_of,
                                                                   const std::vector<const std::vector<BoundOp>*>& ops);

/// In place of communication: random numbers in the output, or traffic (cuda_plugin.hpp).
[[nodiscard]] std::unique_ptr<DeviceTransport> make_stand_in_transport(const std::optional<Traffic>& traffic, bool is_bf16, std::uint64_t seed);

/// "2.28.9", of the library that was found at run time; empty without NCCL.
[[nodiscard]] std::string nccl_version_text();
/// NCCL, for the op list of this process's rank. Ranks meet at `rendezvous` (null: one rank) to exchange ids; all ranks of the job call this
/// at the same time. node_of by rank. Throws
/// BackendUnavailable where there is no NCCL or one too old.
[[nodiscard]] std::unique_ptr<DeviceTransport> make_nccl_transport(const ir::Schedule& schedule, const ir::Instances& instances, Rank rank,
                                                                   std::span<const NodeId> node_of, Rendezvous* rendezvous,
                                                                   std::int32_t most_ctas);

}  // namespace fabricast::runtime::cuda
