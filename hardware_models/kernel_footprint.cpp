#include <algorithm>
#include <stdexcept>

#include "hardware_models/collective_model.hpp"

namespace fabricast::hw {
namespace {

/// Memory traffic per payload byte sent and received. A receiver's buffer takes each byte once from the link (a write); the rest is the
/// kernel's own loads and stores.
struct Traffic {
  double sent, received;
};

// NCCL's primitives (src/device/prims_simple.h), Simple protocol without user-registered buffers:
//   reduce-scatter step, recvReduceSend: reads its own input and the receive buffer for every byte sent;
//   all-gather step, recvCopySend: reads the receive buffer once, writes the output as well as the next rank's buffer;
//   all-reduce is the first half one, the second half the other;
//   send and receive: reads the input; the receiver copies from its buffer to the output.
Traffic traffic_of(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::reduce_scatter: return {2.0, 1.0};
    case CollectiveKind::all_gather:
    case CollectiveKind::broadcast: return {1.0, 2.0};
    case CollectiveKind::all_reduce: return {1.5, 1.5};
    case CollectiveKind::all_to_all:
    case CollectiveKind::send: return {1.0, 3.0};
  }
  throw std::invalid_argument("unknown collective kind");
}

// NCCL gives a channel at least 512 threads times 64 B (NCCL_SIMPLE_THREAD_THRESHOLD, src/include/comm.h; src/enqueue.cc drops channels
// until each has so much).
constexpr std::int64_t least_bytes_per_channel = 512 * 64;

std::int64_t channels_for(Bytes size, std::int64_t most) {
  return std::clamp<std::int64_t>(size.value() / least_bytes_per_channel, 1, most);
}

}  // namespace

KernelFootprint CollectiveModel::footprint(CollectiveKind kind, CollectiveAlgorithm algorithm, Bytes size) const {
  const bool point_to_point = kind == CollectiveKind::all_to_all || kind == CollectiveKind::send;
  if (algorithm == CollectiveAlgorithm::automatic) throw std::invalid_argument("a footprint is of a chosen algorithm");
  const Traffic traffic = traffic_of(kind);
  return {channels_for(size, point_to_point ? spec_.channels.point_to_point : spec_.channels.ring), traffic.sent, traffic.received};
}

}  // namespace fabricast::hw
