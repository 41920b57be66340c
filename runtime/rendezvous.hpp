// How the ranks of a job meet before any library connects them: each brings bytes, each leaves with everybody's. Carries NCCL's ids, the
// gate between steps and, at the end, each rank's times. Knows no schedule and no devices. tcp_rendezvous.hpp needs nothing but sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::runtime {

using Message = std::vector<std::byte>;

class Rendezvous {
 public:
  virtual ~Rendezvous() = default;
  [[nodiscard]] virtual Rank rank() const = 0;
  [[nodiscard]] virtual std::int32_t ranks() const = 0;

  /// Everybody's messages, by rank, once all have come. All ranks call it equally often. Throws ExecutionError naming a rank that left or
  /// that did not come in time.
  [[nodiscard]] virtual std::vector<Message> all_gather(std::span<const std::byte> own) = 0;

  /// This process's steady clock minus rank 0's, as last measured: when they met, or since. Clocks of two machines drift apart by microseconds a
  /// second, so what lasts measures anew: all ranks at the same time, as all_gather.
  [[nodiscard]] virtual Seconds clock_offset() const = 0;
  virtual void compare_clocks() = 0;
};

}  // namespace fabricast::runtime
