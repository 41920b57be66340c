// fabricast calibrate --measure host and --base host: this machine's micro-benchmarks, and the profile of a host. Knows no GPU.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "validation/agreement.hpp"
#include "validation/measurements.hpp"
#include "validation/profile_writer.hpp"

namespace fabricast::tools {

struct HostMeasuring {
  std::optional<std::string> experiment, keep;   // its shapes and number of ranks, else a table of the usual; a file for what was measured
  std::optional<std::int64_t> ranks;
  std::int64_t repetitions = 20;                 // of each, in two rounds, so that what disturbs one does not disturb all
};

/// Throws UsageError, hw::ConfigError, runtime::BackendUnavailable.
[[nodiscard]] validation::Measurements measure_host(const HostMeasuring& measuring, const std::string& command);

/// Fits, writes the cluster to `path` and prints the tables unless `quiet`. Returns the rows that were left out of their fits.
std::vector<validation::AgreementRow> write_host_profile(const validation::Measurements& measurements, const validation::Provenance& provenance,
                                                         const std::string& path, bool quiet);

}  // namespace fabricast::tools
