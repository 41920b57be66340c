// Which rank of which job this process is, as those who start processes say it: flags, torchrun, Open MPI, PMI, Slurm. Knows no library.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

namespace fabricast::tools {

/// One line that names what is missing or wrong.
class LaunchError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct LaunchFlags {
  std::optional<std::int32_t> rank, world_size, local_rank;
  std::optional<std::string> master_address;
  std::optional<std::int32_t> master_port;
};

struct Launch {
  std::int32_t rank = 0, size = 1, local_rank = 0;
  std::string master_address;              // where rank 0 listens; empty: not said
  std::int32_t master_port = 0;
  std::string source = "single process";   // who said it
};

/// The first that says anything, in this order: flags (rank and world size; local rank: else the rank), torchrun (RANK, WORLD_SIZE, LOCAL_RANK,
/// MASTER_ADDR, MASTER_PORT, or the port after it where TORCHELASTIC_USE_AGENT_STORE says that torchrun itself listens there), Open MPI
/// (OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK), PMI (PMI_RANK, PMI_SIZE; MPI_LOCALRANKID or SLURM_LOCALID: else the rank), Slurm (SLURM_PROCID,
/// SLURM_NTASKS, SLURM_LOCALID), and else a single process. Master address and port by flag hold for all. Throws LaunchError where a set is
/// partial or a number makes no sense.
[[nodiscard]] Launch resolve_launch(const LaunchFlags& flags, const std::map<std::string, std::string>& environment);

/// Does resolve_launch look at this variable?
[[nodiscard]] bool is_launch_variable(const std::string& name);

}  // namespace fabricast::tools
