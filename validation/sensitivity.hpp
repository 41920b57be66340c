// What the step would gain from better hardware: finite differences of the simulation with the schedule fixed, one knob of the cluster at a
// time. Knows which knobs there are; what they do is the models' to say.
#pragma once

#include <vector>

#include "validation/experiment.hpp"
#include "validation/forecast.hpp"
#include "validation/report.hpp"

namespace fabricast::validation {

/// Every knob, the one with the largest gain first. `base` is the forecast of the experiment at `options`.
[[nodiscard]] std::vector<KnobEffect> sensitivity(const Experiment& experiment, const Forecast& base, sim::SimulateOptions options);

}  // namespace fabricast::validation
