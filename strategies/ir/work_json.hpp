// An op's work and its sizes as JSON. Internal to the schedule's dump.
#pragma once

#include <string>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

/// "layer": 3, "micro_batch": 0, "chunk": 1 (members of an object, without its braces)
[[nodiscard]] std::string step_json(const RoutingStep& step);
[[nodiscard]] std::string extent_json(const Extent& extent);
/// {"kind": "gemm", "m": 128, "n": 64, "k": 32, "precision": "bf16"}; members are named as in kernels.hpp and schedule.hpp.
[[nodiscard]] std::string work_json(const Work& work);

}  // namespace fabricast::ir
