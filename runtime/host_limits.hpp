// Can the host run a schedule at all? Asked before anything is allocated. Knows no ops' numbers.
#pragma once

#include <string_view>

#include "hardware_models/kernels.hpp"
#include "runtime/executor.hpp"

namespace fabricast::runtime {

/// The one precision of all its computation: fp32 or bf16. Throws BackendUnavailable, naming the backend ("the host backend"), where it is
/// another one or ops differ.
[[nodiscard]] hw::Precision require_one_precision(const ir::Schedule& schedule, std::string_view backend);
[[nodiscard]] hw::Precision require_host_precision(const ir::Schedule& schedule);

/// Throws BackendUnavailable where ranks need more memory than the machine has, or more threads than a process should have.
void require_host_capacity(const ir::Schedule& schedule, Bytes needed);

}  // namespace fabricast::runtime
