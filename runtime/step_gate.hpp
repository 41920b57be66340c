// Where all threads of a run meet between steps. Knows no steps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

namespace fabricast::runtime {

class StepGate {
 public:
  explicit StepGate(std::size_t threads) : threads_(threads) {}

  /// Waits for all threads. The last to come runs `open` before any goes on; if that throws, the gate must be closed. False once the gate is
  /// closed: go home.
  template <class Open>
  [[nodiscard]] bool pass(Open&& open) {
    std::unique_lock lock(mutex_);
    if (closed_) return false;
    const std::uint64_t round = round_;
    if (++waiting_ == threads_) {
      std::forward<Open>(open)();
      waiting_ = 0;
      ++round_;
      changed_.notify_all();
      return true;
    }
    changed_.wait(lock, [&] { return closed_ || round_ != round; });
    return round_ != round;
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  /// Also while `open` runs.
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t threads_;
  std::atomic<std::size_t> waiting_ = 0;
  std::uint64_t round_ = 0;
  bool closed_ = false;
};

}  // namespace fabricast::runtime
