// A grid of settings of one experiment, as a file names it. Knows no simulation.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "hardware_models/json_node.hpp"

namespace fabricast::validation {

/// Keys that move together: the n-th step takes the n-th value of each; no two steps are alike.
struct GridAxis {
  struct Key {
    std::string path;                       // "workload.micro_batches"
    std::vector<hw::JsonNode> values;       // equally many for all keys of an axis, at least one
  };
  std::vector<Key> keys;

  [[nodiscard]] std::size_t size() const { return keys.front().values.size(); }
};

struct Grid {
  std::filesystem::path experiment;         // from the working directory
  std::vector<GridAxis> axes;               // the last varies fastest

  [[nodiscard]] std::size_t points() const;
  [[nodiscard]] std::vector<std::string> keys() const;
  /// By key, in their order.
  [[nodiscard]] std::vector<hw::JsonNode> values(std::size_t point) const;
  /// "workload.micro_batches=4", …: the same as load_document takes them.
  [[nodiscard]] std::vector<std::string> settings(std::size_t point) const;
};

/// Keys: experiment, relative to the file; set, by key its values; zip, a list of objects like set whose keys move together. Axes of set come
/// first. Throws hw::ConfigError.
[[nodiscard]] Grid load_grid(const std::filesystem::path& path);

}  // namespace fabricast::validation
