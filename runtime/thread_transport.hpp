// The transport between ranks of one process: members leave pointers to their buffers and each copies what it needs. Knows no streams.
#pragma once

#include <memory>
#include <vector>

#include "runtime/transport.hpp"

namespace fabricast::runtime {

class Meeting;

/// Each member copies or sums its own part once all have arrived; a part ends when every member's has, so that nobody's input is reused
/// while another still reads it. What a member computes does not depend on who came first.
class ThreadTransport final : public Transport {
 public:
  /// shapes by InstanceId.
  explicit ThreadTransport(std::vector<ExchangeShape> shapes);
  ~ThreadTransport() override;

  void arrive(const Exchange& part, Doorbell& bell) override;
  [[nodiscard]] std::optional<Clock::time_point> advance(const Exchange& part) override;
  [[nodiscard]] bool has_arrived(ir::InstanceId instance, std::size_t member) const override;
  [[nodiscard]] Bytes moved(ir::InstanceId instance) const override;

 private:
  std::vector<std::unique_ptr<Meeting>> meetings_;   // by InstanceId
};

}  // namespace fabricast::runtime
