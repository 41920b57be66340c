// The seam between ranks: how the rows of one collective get from its members to its members. Knows buffers and sizes, no ops, no streams
// and no devices. thread_transport.hpp moves them within one process.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "hardware_models/all_to_all_route.hpp"
#include "hardware_models/collectives.hpp"
#include "hardware_models/kernels.hpp"
#include "hardware_models/units.hpp"
#include "runtime/doorbell.hpp"
#include "strategies/ir/instances.hpp"

namespace fabricast::runtime {

using Clock = std::chrono::steady_clock;

/// What all members of an instance agree on. Counts as in hardware_models/collectives.hpp.
struct ExchangeShape {
  hw::CollectiveKind kind;
  std::size_t members;
  std::vector<Bytes> counts;
  hw::Precision precision;             // of the elements that a reduction sums, in fp32 and in member order
  // All-to-all that goes over relays (hierarchical): its phases. Empty: each member has its pieces from the others themselves.
  std::vector<std::vector<hw::RoutedTransfer>> route{};
};

/// One member's part. all-gather: own shard in, all shards out in member order; reduce-scatter: the reverse; all-to-all: what goes to each
/// member in, what comes from each out, both in member order; send: the message in (member 0) or out (member 1).
struct Exchange {
  ir::InstanceId instance;
  std::size_t member;
  std::span<const std::byte> input;
  std::span<std::byte> output;
};

/// Thread-safe: each member calls from a thread of its own.
class Transport {
 public:
  virtual ~Transport() = default;

  /// The member's input is ready and its output may be written. Does not block. From now on `bell` rings whenever advance may get further.
  /// Throws std::runtime_error where the sizes are not the agreed ones.
  virtual void arrive(const Exchange& part, Doorbell& bell) = 0;

  /// Does what can be done now of an arrived part. Once it has ended and input and output are the member's own again: when the last member
  /// had arrived.
  [[nodiscard]] virtual std::optional<Clock::time_point> advance(const Exchange& part) = 0;

  /// Has the member arrived in the exchange that this process is in? When no thread of the run moves.
  [[nodiscard]] virtual bool has_arrived(ir::InstanceId instance, std::size_t member) const = 0;

  /// What the members of the instance (those in this process) copied from each other so far, over all steps.
  [[nodiscard]] virtual Bytes moved(ir::InstanceId instance) const = 0;
};

}  // namespace fabricast::runtime
