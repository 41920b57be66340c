// The host as a cluster that the simulator can replay a job on: ranks are threads, each a device of one processor whose rates are those that it
// reached while all ranks ran at once. Made from micro-benchmarks alone; knows no files and no schedule.
#pragma once

#include <optional>
#include <string>

#include "validation/calibrate_collectives.hpp"
#include "validation/calibrate_gpu.hpp"
#include "validation/measurements.hpp"
#include "validation/profile_writer.hpp"

namespace fabricast::validation {

struct HostCalibration {
  std::int64_t ranks = 1;
  GpuCalibration rank;                              // a rank as a device
  std::optional<CollectiveCalibration> exchange;    // among ranks; none where one rank was measured
  std::string cluster;                              // JSON of a cluster with both profiles, which an experiment can name as it is
};

/// Peak and memory bandwidth of a rank are the best that any row reached: a host has no data sheet, and nothing may be faster. Row tiles of
/// matrix products stand for the packing of weights, which few rows do not repay. Kinds of collectives that were not measured take the
/// longest latency and least share of those that were. Rows must be of one number of ranks at once. Throws hw::ConfigError where no matrix
/// product was measured, where numbers of ranks differ, or where several ranks ran and no collective was measured.
[[nodiscard]] HostCalibration calibrate_host(const Measurements& measurements, const Provenance& provenance);

}  // namespace fabricast::validation
