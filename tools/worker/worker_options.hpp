// What a worker is told: by command line, file and environment. Knows no execution. Boost.Program_options stays in the .cpp.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/worker/launch.hpp"

namespace fabricast::tools {

struct WorkerOptions {
  std::string experiment;
  std::vector<std::string> sets;
  std::string backend;                       // empty: mpi for more than one process, else host
  std::int64_t steps = 20, warm_up = 3, seed = 1;
  double stall_seconds = 8;
  std::int32_t communication_ctas = 16;      // cuda: at most so many for a communicator; 0: as NCCL likes
  std::int32_t compute_sms = 0;              // cuda: SMs that matrix products plan for; 0: all
  std::string attention;                     // cuda: own or cudnn; empty: cuDNN's where it is there and takes the shape, else our own
  std::optional<std::int32_t> device;        // cuda: absent: the local rank
  bool no_check = false, quiet = false, print_launch = false;
  bool microbench = false;                   // cuda: collectives instead of the schedule; of one process, kernels
  std::int64_t repetitions = 20;
  std::optional<std::string> json, trace, measured, rank_traces;
  LaunchFlags launch;
  std::map<std::string, std::string> environment;   // those variables that say who this process is
};

struct ParsedWorker {
  WorkerOptions options;
  std::string text;                          // to print instead of working (--help, --version)
};

/// Command line before file (--config, lines of "name = value"). Throws LaunchError: one line.
[[nodiscard]] ParsedWorker parse_worker_options(int argc, char** argv);

}  // namespace fabricast::tools
