// Where one rank's time went: a sweep over the starts and ends of its ops. Knows intervals and classes of communication, no schedule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::validation {

/// Something that a rank did over [start, end).
struct Activity {
  enum class Kind : std::uint8_t { computation, communication, waiting };  // waiting: a communication op that could run but for a peer
  Kind kind;
  SimTime start, end;
  std::size_t communication_class = 0;                                      // of communication only
};

struct TimeSpan { SimTime start, end; };

/// computation + exposed + idle = span, exactly, where the rank computes one thing at a time.
struct RankTime {
  SimTime computation, communication, exposed, idle;  // communication: in progress, hidden or not; exposed: while nothing is computed
  SimTime waiting;                                    // part of idle
  std::vector<SimTime> class_busy;                    // by communication class
  std::vector<Seconds> class_exposed;                 // where classes run side by side, each takes an equal share: sums to `exposed`
};

/// All activities lie within `span`.
[[nodiscard]] RankTime account(std::span<const Activity> activities, TimeSpan span, std::size_t communication_classes);

}  // namespace fabricast::validation
