// Bounds of a whole family of strategies from one micro-batch through one layer of each stage: what a search asks before it builds a schedule.
#pragma once

#include <optional>

#include "sim/cost_model.hpp"
#include "sim/least_step.hpp"
#include "validation/experiment.hpp"

namespace fabricast::validation {

struct PipelineBound {
  Seconds step;         // no simulation of the experiment at flow or flow_exact is shorter
  Seconds computation;  // the same if collectives took no time: for any placement and algorithms
  Bytes parameters;     // no rank of the fullest stage holds less
};

/// `deduplicates`: as in sim::LeastStepOptions. Where all layers are alike, experts have one copy and routing is uniform: nothing otherwise.
///
/// A stage s of p works m micro-batches through n layers. A micro-batch takes it at least D_s = E_s + n·W_s, the longest chains through its
/// ends (embedding, head) and through a layer, and the next one's first computation waits for its last. The first has come through the stages
/// before, the last goes on through those behind: step >= Σ_{t<s} D_t + m·D_s + Σ_{t>s} D_t; with v chunks a stage, n/v·W_t for t ≠ s. Rows of an
/// expert differ from pass to pass by one of a source's ⌊x⌋ or ⌊x⌋ + 1, so they are taken as ⌊x⌋ / (⌊x⌋ + 1) of those of the first.
[[nodiscard]] std::optional<PipelineBound> pipeline_bound(const Experiment& experiment, const sim::CostModel& cost, bool deduplicates);

}  // namespace fabricast::validation
