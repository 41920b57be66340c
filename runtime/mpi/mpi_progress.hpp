// The one thread of a process that calls MPI during a run: posts messages, tests them, opens steps, and exchanges signs of life. Knows no
// collectives.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/mpi/mpi_world.hpp"
#include "runtime/transport.hpp"

namespace fabricast::runtime {

struct MpiMessage {
  int peer;
  int tag;
  std::byte* data;               // of a message to send it is only read
  std::size_t bytes;
  bool sends;
};

/// Messages that go together. The owner keeps it until it is done.
struct MpiBatch {
  std::vector<MpiMessage> messages;
  Doorbell* bell = nullptr;      // rung when all messages have ended, or the run is in trouble
  std::atomic<bool> done{false};
};

class MpiProgress {
 public:
  MpiProgress(const MpiWorld& world, Seconds stall_timeout);
  ~MpiProgress();

  /// Ends the thread; buffers of messages are the caller's again. In good order all processes leave together; else nobody is waited for.
  void stop(bool in_good_order);

  void submit(MpiBatch& batch);
  /// Throws std::runtime_error where the run is in trouble.
  void check() const;
  [[nodiscard]] Clock::time_point open_step();
  [[nodiscard]] std::optional<std::string> trouble(Seconds still);
  /// The run is in trouble. The first reason stays.
  void fail(const std::string& why);

 private:
  class Loop;
  const MpiWorld& world_;
  Seconds stall_timeout_;
  std::atomic<std::int64_t> still_ms_{0};
  std::atomic<bool> quit_{false}, leaves_in_good_order_{false}, in_trouble_{false};
  mutable std::mutex mutex_;                      // of what follows
  std::condition_variable changed_;
  std::vector<MpiBatch*> submitted_;
  bool wants_step_ = false;
  std::optional<std::int64_t> step_opened_;       // on the common clock
  std::string why_;
  std::jthread thread_;
};

}  // namespace fabricast::runtime
