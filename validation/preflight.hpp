// Is this machine ready for an experiment? The deployment checks of the guide and those of a host run, each with a verdict. Judges facts that
// others gathered; knows no device and runs nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hardware_models/units.hpp"
#include "runtime/gpu_inventory.hpp"
#include "runtime/machine.hpp"

namespace fabricast::validation {

enum class PreflightVerdict : std::uint8_t { passed, failed, cannot_be_judged, noted };   // noted: measured, and nothing asks for more
[[nodiscard]] std::string_view name_of(PreflightVerdict verdict);

struct PreflightCheck {
  std::string id;                          // "gpu_count"
  std::string wanted, found;
  PreflightVerdict verdict;
  std::string why;                         // what to do about it, or what it rests on; may be empty
};

struct PreflightFacts {
  runtime::Machine host;
  Bytes available_memory;                  // of the host, now; 0: not known
  runtime::GpuInventory gpus;
  std::optional<BytesPerSecond> gpu_all_reduce;    // bus bandwidth among this node's GPUs
  std::string no_gpu_all_reduce;           // why it is missing
  std::optional<BytesPerSecond> host_all_reduce;   // among threads; bus bandwidth
  bool has_mpirun = false, has_worker = false;
};

/// What the job needs; without an experiment what the guide asks of any node.
struct PreflightNeeds {
  std::string backend = "cuda";            // host, mpi or cuda: a host needs no GPUs and GPUs need no processors
  std::optional<std::int64_t> gpus_per_node, nodes, ranks;
  std::optional<std::string> gpu;          // as the experiment's cluster names it
  std::optional<Bytes> gpu_memory;         // that the cluster's GPUs are said to have
  std::optional<Bytes> peak_of_a_rank;     // by plan_memory, of the fullest
  std::optional<Bytes> all_ranks;          // together, where all are on this machine
};

/// The guide asks for more than 100 GB/s of nccl-tests' all_reduce_perf (Deployment Validation, check 3).
inline constexpr BytesPerSecond least_all_reduce{100e9};

[[nodiscard]] std::vector<PreflightCheck> preflight(const PreflightFacts& facts, const PreflightNeeds& needs);

/// None failed.
[[nodiscard]] bool is_ready(const std::vector<PreflightCheck>& checks);

[[nodiscard]] std::string preflight_text(const std::vector<PreflightCheck>& checks, const PreflightFacts& facts);
/// "fabricast.preflight/1".
[[nodiscard]] std::string preflight_json(const std::vector<PreflightCheck>& checks, const PreflightFacts& facts, const std::string& experiment);

}  // namespace fabricast::validation
