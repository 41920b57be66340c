// Can the host run a schedule at all? Asked before anything is allocated. Knows no ops' numbers.
#pragma once

#include "hardware_models/kernels.hpp"
#include "runtime/executor.hpp"

namespace fabricast::runtime {

/// The one precision of all its computation. Throws BackendUnavailable where the host does not compute in it or ops differ.
[[nodiscard]] hw::Precision require_host_precision(const ir::Schedule& schedule);

/// Throws BackendUnavailable where ranks need more memory than the machine has, or more threads than a process should have.
void require_host_capacity(const ir::Schedule& schedule, Bytes needed);

}  // namespace fabricast::runtime
