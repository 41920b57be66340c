// What a run ran on, as far as the machine tells. Knows no schedule.
#pragma once

#include <cstdint>
#include <string>

#include "hardware_models/units.hpp"

namespace fabricast::runtime {

/// Empty or 0: not known.
struct Machine {
  std::string host;                 // its name
  std::string device;               // "AMD EPYC …" or "NVIDIA H100 80GB HBM3"
  std::int32_t devices = 0;         // processors (hardware threads) of the host, or GPUs
  std::string driver;               // of GPUs
  double clock_mhz = 0;             // of a host when the run began; of a GPU the median while it was timed
  std::string attention;            // of a GPU, whose attention ran: "cuDNN 9.19.0", "own"
  Bytes memory{};                   // of the host, or of one GPU
};

/// The CPU of this machine: name and clock from /proc/cpuinfo, processors that this process may use.
[[nodiscard]] Machine this_host();

}  // namespace fabricast::runtime
