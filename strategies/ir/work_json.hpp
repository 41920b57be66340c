// An op's work and its sizes as JSON, as the schedule's dump and files of measurements have it.
#pragma once

#include <string>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

/// "layer": 3, "micro_batch": 0, "chunk": 1 (members of an object, without its braces)
[[nodiscard]] std::string step_json(const RoutingStep& step);
[[nodiscard]] std::string extent_json(const Extent& extent);
/// {"kind": "gemm", "m": 128, "n": 64, "k": 32, "precision": "bf16"}; members are named as in kernels.hpp and schedule.hpp.
[[nodiscard]] std::string work_json(const Work& work);
/// The same of a resolved shape: row counts are numbers, a grouped matrix product has "rows": [128, 96].
[[nodiscard]] std::string kernel_json(const hw::Kernel& kernel);

}  // namespace fabricast::ir
