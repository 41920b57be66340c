// A cluster file from what a node's owner dumped of its topology: what the dump tells replaces the base's, the rest is the base's. Knows
// no format of dumps.
#pragma once

#include <filesystem>
#include <string>

#include "hardware_models/json_node.hpp"
#include "validation/node_facts.hpp"

namespace fabricast::validation {

struct ImportOptions {
  std::string source;                          // of the dump, for the file: "nvidia-smi topo -m in FILE"
  std::filesystem::path folder = ".";          // where the result will lie: references to other files are written relative to it
  std::optional<BytesPerSecond> nvlink;        // of one link and direction; default: by compute capability, 25 GB/s where it is not told
};

/// Per link and direction: 25 GB/s for NVLink 2 to 4 (V100, A100, H100), 50 GB/s for NVLink 5 (compute capability 10), by NVIDIA's data
/// sheets: 300, 600, 900 and 1800 GB/s both ways over 6, 12, 18 and 18 links. Nothing for a capability that is none of them.
[[nodiscard]] std::optional<BytesPerSecond> nvlink_rate(std::int64_t compute_capability);

/// `base` is a cluster's JSON. Notes on what had to be assumed are added to `facts.notes`. Throws hw::ConfigError where a link's rate is
/// needed and unknown.
[[nodiscard]] std::string cluster_text(const hw::JsonNode& base, NodeFacts& facts, const ImportOptions& options);

}  // namespace fabricast::validation
