// One check for all MPI calls, and how much one may carry. Knows no ranks.
#pragma once

#include <cstddef>
#include <source_location>

namespace fabricast::runtime {

/// Bytes; MPI counts in int, and what is larger travels in parts.
inline constexpr std::size_t largest_message = std::size_t{1} << 30;

/// Throws std::runtime_error with MPI's own words where `status` is no success.
void check_mpi(int status, std::source_location where = std::source_location::current());

}  // namespace fabricast::runtime
