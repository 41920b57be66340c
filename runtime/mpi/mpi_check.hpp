// One check for all MPI calls. Knows no ranks.
#pragma once

#include <source_location>

namespace fabricast::runtime {

/// Throws std::runtime_error with MPI's own words where `status` is no success.
void check_mpi(int status, std::source_location where = std::source_location::current());

}  // namespace fabricast::runtime
