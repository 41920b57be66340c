// The transport between processes over MPI: each member sends what the others need of its input and receives what it needs of theirs.
// Knows no streams and no devices.
//
// One thread of its own makes all calls of MPI while a run goes on, so that messages progress beside computation and a waiting rank holds no
// processor. Messages match by instance, not by the order of a communicator: streams may issue in any order. Sums run in member order in
// fp32, as between threads: the result is the same in every bit. With its arrival each member tells the others when it came, on the common
// clock, so that all agree on when the last one had. The same thread tells rank 0 four times a second that this process is alive, and rank
// 0 all others: a process that is silent for five seconds ends the run for all.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "runtime/mpi/mpi_world.hpp"
#include "runtime/peers.hpp"
#include "runtime/transport.hpp"
#include "strategies/ir/instances.hpp"

namespace fabricast::runtime {

class MpiProgress;

/// One rank a process.
class MpiTransport final : public Transport {
 public:
  MpiTransport(MpiProgress& progress, const MpiWorld& world, std::vector<ExchangeShape> shapes, const ir::Instances& instances);
  ~MpiTransport() override;

  void arrive(const Exchange& part, Doorbell& bell) override;
  [[nodiscard]] std::optional<Clock::time_point> advance(const Exchange& part) override;
  [[nodiscard]] bool has_arrived(ir::InstanceId instance, std::size_t member) const override;
  [[nodiscard]] Bytes moved(ir::InstanceId instance) const override;

 private:
  class Part;
  MpiProgress& progress_;
  std::vector<std::unique_ptr<Part>> parts_;   // by InstanceId; null where this process is no member
};

/// The thread that calls MPI, and the watch over the other processes.
class MpiPeers final : public Peers {
 public:
  /// `stop`: raised from outside (a signal) when the run is to end. May be null.
  MpiPeers(const MpiWorld& world, Seconds stall_timeout, const std::atomic<bool>* stop);
  ~MpiPeers() override;

  [[nodiscard]] Clock::time_point open_step() override;
  [[nodiscard]] std::optional<std::string> trouble(Seconds still) override;
  [[nodiscard]] MpiProgress& progress() { return *progress_; }

 private:
  std::unique_ptr<MpiProgress> progress_;
  const std::atomic<bool>* stop_;
};

}  // namespace fabricast::runtime
