// How busy a link is, as a step function of time. Knows no flows.
#pragma once

#include "hardware_models/units.hpp"

namespace fabricast::sim {

/// The rate of a link from `time` on.
struct LinkRate {
  SimTime time;
  LinkId link;
  BytesPerSecond rate;                     // payload and protocol together: what the link is busy with
};

}  // namespace fabricast::sim
