// Predicts sets of measurements with the profiles that stand for their systems. Knows which profile that is, and no report; collectives are
// judge_collectives.hpp's.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "validation/agreement.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

struct JudgeOptions {
  std::filesystem::path configs = "configs";      // the folder that holds calibration/, gpus/ and clusters/
  std::optional<std::filesystem::path> gpu;       // a profile for all kernels, whatever their system
  std::optional<std::filesystem::path> cluster;   // a cluster for all collectives, whatever their system
  std::string system;                             // keep this system's rows only; empty: all
  std::vector<std::string> kinds;                 // keep kinds that contain one of these texts; empty: all

  [[nodiscard]] bool wants(const std::string& kind) const;
};

/// Files as they are, and of a directory those that are measurements (*.csv, *.json, *.txt), in order of name. In a directory, files that
/// are no measurements are passed over and named in `skipped`. Throws hw::ConfigError.
[[nodiscard]] std::vector<Measurements> read_sets(const std::vector<std::string>& paths, std::vector<std::string>& skipped);

/// One row for each kernel that the system's GPU can run, each collective that its cluster can and each step; what cannot be judged, and why,
/// is added to `notes`. Throws hw::ConfigError for profiles and experiments that cannot be read and where nothing is left to judge.
[[nodiscard]] std::vector<AgreementRow> judge(const std::vector<Measurements>& sets, const JudgeOptions& options,
                                              std::vector<std::string>& notes);

/// The profile of a system: fitted under configs/calibration, else by hand under configs/gpus; nothing if there is none.
[[nodiscard]] std::optional<std::filesystem::path> gpu_profile(const std::filesystem::path& configs, const std::string& system);

/// The cluster of configs/clusters that stands for a system; nothing if there is none.
[[nodiscard]] std::optional<std::filesystem::path> cluster_file(const std::filesystem::path& configs, const std::string& system);

}  // namespace fabricast::validation
