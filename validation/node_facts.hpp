// What a node's owner can dump of its topology: `nvidia-smi topo -m` and NCCL's topology XML. Knows no cluster: import_cluster.hpp makes
// one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::validation {

struct NodeFacts {
  std::int64_t gpus = 0;
  std::int64_t nvlinks = 0;                         // of each GPU; the fewest where they differ
  std::int64_t nics = 0;                            // 0: not told
  std::optional<std::int64_t> compute_capability;   // "sm": 80, 90, …
  std::optional<BytesPerSecond> nic_bandwidth;      // of the fastest ports, each
  std::optional<BytesPerSecond> pcie_bandwidth;     // GPU's slot, per direction
  std::vector<std::string> notes;                   // what the model of a node cannot say
};

/// The matrix that `nvidia-smi topo -m` prints, colour codes and legend included. A cell NV18 counts links. Where a GPU's cells add up to
/// more links than any chip has, all of them go to one switch and a cell counts the GPU's; else a cell counts a pair's. Throws
/// hw::ConfigError for text that is no such matrix, one that is cut off, and GPUs that NVLink does not join.
[[nodiscard]] NodeFacts read_nvidia_smi_topo(std::string_view text, const std::string& file);

/// NCCL_TOPO_DUMP_FILE's XML, version 1. PCI devices may nest to any depth; unknown elements and attributes are passed over. Throws
/// hw::ConfigError for another root or version, and where no GPU is listed.
[[nodiscard]] NodeFacts read_nccl_topo_xml(std::string_view text, const std::string& file);

}  // namespace fabricast::validation
