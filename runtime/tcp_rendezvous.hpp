// Ranks meet over TCP: rank 0 listens where all know (torchrun's MASTER_ADDR and MASTER_PORT, or a flag), the others connect. Trusts whoever
// speaks the protocol: for the network of a job. Knows no schedule.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/rendezvous.hpp"

namespace fabricast::runtime {

/// An open socket.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;                // none
};

struct TcpMeeting {
  std::string host;                    // of rank 0: a name or an address
  std::uint16_t port = 0;
  Rank rank;
  std::int32_t ranks = 1;
  Seconds patience{60};                // for ranks to come, at first and in each round
};

class TcpRendezvous final : public Rendezvous {
 public:
  /// Returns when all ranks have come. Throws ExecutionError naming who has not, or why there is no meeting.
  explicit TcpRendezvous(TcpMeeting meeting);

  [[nodiscard]] Rank rank() const override { return meeting_.rank; }
  [[nodiscard]] std::int32_t ranks() const override { return meeting_.ranks; }
  [[nodiscard]] std::vector<Message> all_gather(std::span<const std::byte> own) override;
  [[nodiscard]] Seconds clock_offset() const override { return offset_; }
  void compare_clocks() override;

 private:
  void serve();
  void join();
  [[nodiscard]] std::vector<Message> collect(std::span<const std::byte> own);
  [[noreturn]] void give_up(const std::string& why);

  TcpMeeting meeting_;
  std::vector<Socket> peers_;          // of rank 0: by rank, its own place empty; of the others: rank 0
  Seconds offset_;
};

}  // namespace fabricast::runtime
