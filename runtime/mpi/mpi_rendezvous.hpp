// Processes that MPI started meet through it, whatever library then connects their devices. Knows no devices.
#pragma once

#include "runtime/mpi/mpi_world.hpp"
#include "runtime/rendezvous.hpp"

namespace fabricast::runtime {

class MpiRendezvous final : public Rendezvous {
 public:
  /// The world must outlive it.
  explicit MpiRendezvous(const MpiWorld& world) : world_(world), to_common_(world.to_common_clock()) {}

  [[nodiscard]] Rank rank() const override { return Rank{world_.rank()}; }
  [[nodiscard]] std::int32_t ranks() const override { return world_.size(); }
  [[nodiscard]] std::vector<Message> all_gather(std::span<const std::byte> own) override { return world_.all_gather(own); }
  [[nodiscard]] Seconds clock_offset() const override { return Seconds(-std::chrono::duration<double>(to_common_).count()); }
  void compare_clocks() override { to_common_ = world_.compare_clocks(); }

 private:
  const MpiWorld& world_;
  std::chrono::nanoseconds to_common_;
};

}  // namespace fabricast::runtime
