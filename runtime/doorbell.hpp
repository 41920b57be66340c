// How a thread sleeps until another has news for it. Knows no news: whoever is woken looks for itself.
#pragma once

#include <atomic>
#include <cstdint>

namespace fabricast::runtime {

/// Read rings(), look for something to do, and wait(rings) if there is nothing: a ring in between is not missed.
class Doorbell {
 public:
  [[nodiscard]] std::uint32_t rings() const { return rings_.load(std::memory_order_acquire); }

  void ring() {
    rings_.fetch_add(1, std::memory_order_release);
    rings_.notify_all();
  }

  void wait(std::uint32_t seen) {
    asleep_.store(true, std::memory_order_relaxed);
    rings_.wait(seen, std::memory_order_acquire);
    asleep_.store(false, std::memory_order_relaxed);
  }

  /// Waits, or has been rung and not yet woken.
  [[nodiscard]] bool asleep() const { return asleep_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> rings_{0};
  std::atomic<bool> asleep_{false};
};

}  // namespace fabricast::runtime
