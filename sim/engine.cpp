#include "sim/engine.hpp"

#include <algorithm>
#include <cassert>

namespace fabricast::sim {

void Engine::schedule(SimTime at, Event event) {
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
