// What the CUDA driver reads from the environment when it starts. Knows no backend.
#pragma once

#include <cstdlib>

namespace fabricast::tools {

/// Before the first call of CUDA. Streams share the queues of the hardware, 8 unless told otherwise (CUDA programming guide, environment
/// variables): then a kernel that waits for its peers may hold up one that does not depend on it. What the user has set stays.
inline void prepare_cuda_environment() { ::setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0); }

}  // namespace fabricast::tools
