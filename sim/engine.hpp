// The event loop: what happens when, in integer picoseconds. Knows units only; what an event means is known to whoever scheduled it.
#pragma once

#include <cstdint>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::sim {

/// Plain data, so that scheduling copies three numbers: what happens, to whom, and one number more.
struct Event {
  std::uint32_t kind = 0, subject = 0, detail = 0;
};

/// to_sim_time. std::overflow_error from 2^62 ps (53 days) on: half of what fits, so that a span added to a time never wraps around.
[[nodiscard]] SimTime countable_time(Seconds span);

/// Events in time order; equal times run in the order in which they were scheduled. Any number of engines live side by side.
class Engine {
 public:
  [[nodiscard]] SimTime now() const { return now_; }
  [[nodiscard]] bool idle() const { return queue_.empty(); }
  [[nodiscard]] std::uint64_t events_run() const { return events_run_; }

  /// `at` is not before now(); std::overflow_error from 2^62 ps on. At now() the event runs after all those already scheduled for now().
  void schedule(SimTime at, Event event);

  /// Moves to the earliest event and hands it to handle(Event), which may schedule more. False where none was left.
  template <class Handler>
  bool step(Handler&& handle) {
    if (queue_.empty()) return false;
    const Entry next = pop();
    now_ = next.time;
    ++events_run_;
    handle(next.event);
    return true;
  }

  template <class Handler>
  void run(Handler&& handle) {
    while (step(handle)) {
    }
  }

 private:
  struct Entry {
    SimTime time;
    std::uint64_t sequence;
    Event event;
  };
  static bool later(const Entry& a, const Entry& b) { return a.time != b.time ? a.time > b.time : a.sequence > b.sequence; }
  Entry pop();

  std::vector<Entry> queue_;  // binary heap, earliest first
  SimTime now_{};
  std::uint64_t scheduled_ = 0, events_run_ = 0;
};

}  // namespace fabricast::sim
