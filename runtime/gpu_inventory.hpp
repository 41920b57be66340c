// The GPUs of this node as the driver's nvidia-smi tells of them. Knows no CUDA: works, and says why not, where there is no driver.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::runtime {

struct GpuFacts {
  std::string name, driver;
  Bytes used, total;                               // memory
};

struct GpuInventory {
  std::vector<GpuFacts> gpus;
  std::vector<std::vector<std::string>> links;     // [i][j]: how GPU i reaches j, "NV18", "PIX", "SYS"; empty: not known
  std::string absence;                             // why there is no GPU, or no answer
};

/// Of `nvidia-smi --query-gpu=name,driver_version,memory.used,memory.total --format=csv,noheader,nounits`: a line a GPU, memory in MiB. Lines
/// of another form (errors) are passed over.
[[nodiscard]] std::vector<GpuFacts> parse_gpu_query(std::string_view text);

/// Of `nvidia-smi topo -m`: the table's square among GPUs. Empty where it is not there or not square.
[[nodiscard]] std::vector<std::vector<std::string>> parse_gpu_links(std::string_view text);

/// The result lines of nccl-tests' programs, for example all_reduce_perf (size, count, type, redop, root, then out of place time, algbw,
/// busbw): the greatest out-of-place bus bandwidth. 0 where there is none.
[[nodiscard]] BytesPerSecond parse_best_bus_bandwidth(std::string_view text);

/// Asks this node; gives up on a driver that hangs.
[[nodiscard]] GpuInventory gpus_of_this_node();

/// What a command of a shell prints to standard output, within a time. Empty where it cannot be run.
[[nodiscard]] std::string output_of(const std::string& command, Seconds limit);

}  // namespace fabricast::runtime
