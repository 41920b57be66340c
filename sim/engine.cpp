#include "sim/engine.hpp"

#include <algorithm>
#include <cassert>
#include <stdexcept>

namespace fabricast::sim {
namespace {

constexpr SimTime end_of_time(std::int64_t{1} << 62);

[[noreturn]] void too_late() { throw std::overflow_error("the step takes longer than simulated time can count (53 days)"); }

}  // namespace

SimTime countable_time(Seconds span) {
  if (!(span < to_seconds(end_of_time))) too_late();
  return to_sim_time(span);
}

void Engine::schedule(SimTime at, Event event) {
  if (at >= end_of_time) too_late();
  assert(at >= now_ && "an event cannot be scheduled in the past");
  queue_.push_back({at, scheduled_++, event});
  std::push_heap(queue_.begin(), queue_.end(), later);
}

Engine::Entry Engine::pop() {
  std::pop_heap(queue_.begin(), queue_.end(), later);
  const Entry earliest = queue_.back();
  queue_.pop_back();
  return earliest;
}

}  // namespace fabricast::sim
