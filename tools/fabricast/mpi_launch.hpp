// Starts the processes of an MPI job on this machine and waits for them: one line where something goes wrong, nobody left behind. Knows no
// experiment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/fabricast/exit_code.hpp"

namespace fabricast::tools {

/// mpirun with as many workers as ranks. As root and with fewer processors than ranks Open MPI wants to be told so.
[[nodiscard]] std::vector<std::string> mpi_launch_line(std::int64_t ranks, const std::vector<std::string>& worker_arguments);

/// As one would type it.
[[nodiscard]] std::string shell_line(const std::vector<std::string>& words);

/// The program that runs one rank: beside this one. Throws runtime::BackendUnavailable where there is none.
[[nodiscard]] std::string worker_program();

/// What a failed job's standard error comes to in one line: who died or threw, and which op waits for it.
[[nodiscard]] std::string failure_of(const std::vector<std::string>& error_lines, int exit_code);

/// Standard output is handed through. Throws runtime::BackendUnavailable where there is no mpirun, runtime::ExecutionError where the job
/// failed while it ran, UsageError where a worker found the input at fault. A mpirun that does not end within seconds of a worker's failure
/// is killed, and its workers end with it.
[[nodiscard]] ExitCode launch_mpi(const std::vector<std::string>& line);

}  // namespace fabricast::tools
